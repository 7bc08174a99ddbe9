"""Configuration, devices, logging and run folders. Imports no other room."""

from sansi.base.config import config_to_dict, load_config
from sansi.base.errors import ConfigError, SansiError

__all__ = ["ConfigError", "SansiError", "config_to_dict", "load_config"]
