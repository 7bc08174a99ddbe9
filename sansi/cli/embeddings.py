"""The options that give retrieval a model of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sansi.base.errors import SansiError
from sansi.cli.chat import key_in

if TYPE_CHECKING:
    from sansi.agents.tools.library import Embeddings


def embeddings_of(url: str | None, model: str | None, key_env: str | None) -> Embeddings | None:
    """What --embeddings-url, -model and -key-env say; None: nothing. The server is asked for its models, so that a
    wrong address is told at the start.

    Raises SansiError for options without an address, and for a server that is not there.
    """
    if url is None:
        if model or key_env:
            raise SansiError("--embeddings-model and --embeddings-key-env are for a server: give --embeddings-url")
        return None
    from sansi.agents.tools.library import Embeddings
    from sansi.client.streaming import Server, list_models

    server = Server.at(url, key_in(key_env, "--embeddings-key-env") if key_env else None)
    if model is None:
        cards = list_models(server)
        if not cards:
            raise SansiError(f"{server.base_url} names no model; give one with --embeddings-model")
        model = str(cards[0]["id"])
    found = Embeddings(server.base_url, model, server.api_key)
    found.of_texts(["a text"])  # a server of chats says now that it has none
    return found
