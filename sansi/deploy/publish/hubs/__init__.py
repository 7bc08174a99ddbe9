"""Where models are published: one file for each hub, over its own client."""

from __future__ import annotations

import logging

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.installing import install_command
from sansi.deploy.publish.hubs.destination import Destination, Upload
from sansi.deploy.publish.hubs.names import check_name

__all__ = ["DESTINATIONS", "Destination", "Upload", "check_name", "open_destination"]

DESTINATIONS = ("huggingface", "modelscope", "kaggle")


def open_destination(hub: str) -> Destination:
    """The hub of that name. Raises SansiError for another name, or where its client is not installed."""
    try:
        if hub == "huggingface":
            from sansi.deploy.publish.hubs.huggingface import HuggingFaceDestination

            return HuggingFaceDestination()
        if hub == "modelscope":
            from sansi.deploy.publish.hubs.modelscope import ModelScopeDestination

            return ModelScopeDestination()
        if hub == "kaggle":
            logging.getLogger("kagglehub").setLevel(logging.WARNING)
            from sansi.deploy.publish.hubs.kaggle import KaggleDestination

            return KaggleDestination()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("modelscope_hub", "kagglehub", "kagglesdk"):
            raise
        raise SansiError(f"--to {hub} needs its client: {install_command(hub)} ({error})") from error
    raise SansiError(f'--to "{hub}" is no hub{did_you_mean(hub, DESTINATIONS)}', param="to")
