"""Getting a page of the public web, and nothing else: an address cannot lead into the machine or its network."""

from sansi.agents.tools.web.client import Page, WebAccess, get_page
from sansi.agents.tools.web.urls import WebAddress, read_address

__all__ = ["Page", "WebAccess", "WebAddress", "get_page", "read_address"]
