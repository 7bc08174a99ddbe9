"""Models by name: from the hubs, through their own clients, into their own caches."""

from __future__ import annotations

import logging

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.installing import install_command
from sansi.model.hub.names import ModelName, read_name
from sansi.model.hub.repository import CachedModel, Hub, HubFile, Repository

__all__ = ["HUBS", "CachedModel", "Hub", "HubFile", "ModelName", "Repository", "open_hub", "read_name"]

HUBS = ("huggingface", "modelscope")


def open_hub(name: str = HUBS[0]) -> Hub:
    """The hub called `name`. Raises SansiError for another name, or where its client is not installed."""
    if name == "huggingface":
        from sansi.model.hub.huggingface import HuggingFace

        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what matters is told by our errors
        return HuggingFace()
    if name == "modelscope":
        try:
            from sansi.model.hub.modelscope import ModelScope
        except ModuleNotFoundError as error:
            raise SansiError(f"--hub modelscope needs its client: {install_command('modelscope')} ({error})") from error
        logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL)
        return ModelScope()
    raise SansiError(f'there is no hub "{name}"{did_you_mean(name, HUBS)}', param="hub")
