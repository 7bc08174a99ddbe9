"""Publishing a model: its card, a check of all files without a network, and the upload by a hub's own client."""

from sansi.deploy.publish.hubs import DESTINATIONS, check_name, open_destination
from sansi.deploy.publish.publication import CardChoices, Publication, prepare, upload

__all__ = ["DESTINATIONS", "CardChoices", "Publication", "check_name", "open_destination", "prepare", "upload"]
