"""`fetch`: the main text of a web page, for a model to read."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sansi.agents.context import ToolContext
from sansi.agents.destination import Destination
from sansi.agents.observation import Result
from sansi.agents.tool import Tool
from sansi.agents.tools.web import Page, WebAccess, WebAddress, get_page, read_address
from sansi.agents.tools.web.client import check_port, checked, look_up_host
from sansi.base.errors import SansiError
from sansi.base.words import count
from sansi.client.chat_client import on_thread
from sansi.documents import Document, Limits, read_document

KEPT, KEPT_SECONDS = 8, 300.0  # pages that need not be got again for their next part
LEAST_PART, HEAD_ROOM = 500, 400  # characters: of a part of a page; for what stands above it
SHOWN_ERROR = 600  # characters of the page that an error comes with


@dataclass(frozen=True)
class _Read:
    page: Page
    document: Document
    at: float


class Fetcher:
    """Gets pages, and keeps the last ones for who reads on."""

    def __init__(self, access: WebAccess | None = None):
        self._access = access or WebAccess()
        self._read: OrderedDict[str, _Read] = OrderedDict()

    async def fetch(self, url: str, context: ToolContext, start: int = 0) -> Result:
        """Get a page of the public web and read its main text (HTML, plain text, JSON, XML, PDF).

        A page that is longer than there is room for comes in parts: call again with the `start` that the result names.
        A redirect to another site is told, not followed.

        Args:
            url: The address, which begins with https:// or http://.
            start: The character of the text to begin at.
        """
        address = read_address(url)
        read = self._kept(str(address)) if start else None
        if read is None:
            page = await get_page(str(address), self._access, _same_site, context.addresses)
            if page.elsewhere is not None:
                text = f"{page.url} redirects to another site, {page.elsewhere}. Fetch that address if it is wanted."
                return Result(text, origin=str(page.url))
            read = _Read(page, await _document(page), time.monotonic())
            self._keep(str(address), read)
        return _part(read, start, context.room)

    def _kept(self, url: str) -> _Read | None:
        read = self._read.get(url)
        return read if read is not None and time.monotonic() - read.at < KEPT_SECONDS else None

    def _keep(self, url: str, read: _Read) -> None:
        self._read[url] = read
        self._read.move_to_end(url)
        while len(self._read) > KEPT:
            self._read.popitem(last=False)


def fetch_tool(access: WebAccess | None = None) -> Tool:
    """The tool `fetch`. access: what it may reach, how much it reads and how long it may take."""
    access = access or WebAccess()
    return Tool.from_function(
        Fetcher(access).fetch,
        name="fetch",
        timeout=access.seconds + Limits().seconds + 10,
        effects={"network"},
        origin="built-in",
        tainted=True,
        show=_shown,
        destination=lambda arguments: _destination(arguments, access),
    )


def tools(workspace: Any = None) -> list[Tool]:
    return [fetch_tool()]


def _shown(arguments: Mapping[str, Any]) -> str:
    """The address as it is asked for: numbers and foreign scripts in a host are what they stand for."""
    try:
        return str(read_address(str(arguments.get("url", ""))))
    except SansiError as error:
        return f"{arguments.get('url', '')}\n({error})"


def _destination(arguments: Mapping[str, Any], access: WebAccess) -> Destination:
    address = read_address(str(arguments.get("url", "")))
    check_port(address, access)

    async def look_up() -> list[str]:
        return list(map(str, await look_up_host(address.host, address.port, access)))

    return Destination(address.host, look_up, lambda known: checked(address.host, known, access))


def _same_site(before: WebAddress, after: WebAddress) -> bool:
    """Whether a redirect stays where the user, or a rule, let it go: at the host, with or without www."""
    if before.scheme == "https" and after.scheme == "http":
        return False
    standard = {before.port, after.port} <= {80, 443}
    return before.host.removeprefix("www.") == after.host.removeprefix("www.") and (
        before.port == after.port or standard
    )


async def _document(page: Page) -> Document:
    name = page.url.target.partition("?")[0].rpartition("/")[2] or None
    if page.cut and page.data.startswith(b"%PDF-"):
        raise SansiError(f"{page.url} is a PDF of more than {len(page.data) / 2**20:.4g} MiB; it is not read")
    if not page.data.strip():
        return Document("", "text/plain")
    return await on_thread(lambda: read_document(page.data, name, page.media_type))


def _part(read: _Read, start: int, room: int) -> Result:
    page, document = read.page, read.document
    text, origin = document.text, str(page.url)
    if page.status >= 400:
        told = f"{origin} answered {page.status}"
        return Result(f"{told}:\n{text[:SHOWN_ERROR]}" if text else told, is_error=True, origin=origin)
    if start and start >= len(text):
        raise SansiError(
            f"start is {start}, and the text of {origin} has {count(len(text), 'character')}", param="start"
        )
    end = min(len(text), max(start, 0) + max(room - HEAD_ROOM, LEAST_PART))
    notes = list(document.notes)
    if page.cut:
        notes.append("the page is very long, and only its beginning was read")
    if start or end < len(text):
        more = f"; call fetch again with start={end} for what follows" if end < len(text) else ""
        notes.append(f"characters {start} to {end} of {len(text)}{more}")
    head = [origin, *([document.title] if document.title else []), *(f"({note})" for note in notes)]
    return Result("\n".join(head) + "\n\n" + (text[start:end] or "(the page is empty)"), origin=origin)
