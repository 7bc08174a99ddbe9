"""OpenAI's responses, without a store of them."""

from __future__ import annotations

import functools

from sansi.serve.api.dialect import Dialect
from sansi.serve.api.framing import NAMED_EVENTS
from sansi.serve.api.responses.recent_items import RecentItems
from sansi.serve.api.responses.reply import ResponsesReply
from sansi.serve.api.responses.request import FIELDS, REQUIRED, parse_responses_request
from sansi.serve.api.responses.schema import RESPONSE


def responses_dialect() -> Dialect:
    """It keeps the latest output items, which later requests may refer to."""
    recent = RecentItems()
    parse = functools.partial(parse_responses_request, recall=recent.get)
    reply = functools.partial(ResponsesReply, keep=recent.add)
    return Dialect("responses", "/v1/responses", FIELDS, REQUIRED, parse, reply, RESPONSE, NAMED_EVENTS)
