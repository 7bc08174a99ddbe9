"""The packages that not everybody needs, and how they are installed here: in a checkout, or beside a wheel."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from sansi.base.errors import SansiError
from sansi.base.installing import install_command

EXTRAS = {
    "train": ("reasoning_gym", "matplotlib", "datasketch", "pyarrow", "regex", "langcodes"),
    "cluster": ("ray",),
    "agents": ("mcp",),
    "modelscope": ("modelscope_hub",),
    "kaggle": ("kagglehub", "kagglesdk"),
    "test": ("pytest", "hypothesis", "transformers", "openai"),
    "browser": ("playwright",),
}
"""The modules that each extra of the package brings."""


def need(*modules: str) -> None:
    """Raise SansiError, before any wait, unless the modules can be imported."""
    for module in modules:
        if find_spec(module) is None:
            raise SansiError(what_to_install(module))


def what_to_install(module: str) -> str:
    """A sentence for a module that is missing."""
    top = module.partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if top in modules), None)
    if extra is None:
        return f"this needs the package {top}, which is not installed; {install_command()} brings all that Sansi needs"
    return f"this needs the package {top}; {install_command(extra)} brings it"


def missing(modules: Iterable[str]) -> list[str]:
    return [module for module in modules if find_spec(module) is None]
