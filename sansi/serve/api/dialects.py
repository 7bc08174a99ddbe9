"""Which dialects the server speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sansi.serve.api.dialect import Dialect
from sansi.serve.api.openai_chat import OPENAI_CHAT
from sansi.serve.api.openai_completions import OPENAI_COMPLETIONS

DIALECTS: tuple[Dialect, ...] = (OPENAI_CHAT, OPENAI_COMPLETIONS)


def error_at(path: str, body: Mapping[str, Any], status: int) -> Mapping[str, Any]:
    """An error in the shape that clients of this path expect: that of the dialect whose path it begins with."""
    dialect = next((one for one in DIALECTS if path.startswith(one.path)), None)
    return body if dialect is None else dialect.error(body, status)
