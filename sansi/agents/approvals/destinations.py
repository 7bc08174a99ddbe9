"""Questions about calls over the network show the addresses that they lead to, where a look-up tells nobody a thing.

To look a name up tells it to name servers, whoever holds them: a name that strangers may have chosen, or made of what
the model knows, would be sent before the user was asked. So it is looked up where no stranger has spoken, or where the
user named the host; else the question says that it was not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sansi.agents.approvals.questions import Question
from sansi.agents.approvals.taint import Provenance
from sansi.agents.tool import Tool

SECONDS = 5.0
"""Until a question no longer waits for name servers."""
NOT_LOOKED_UP = (
    "not looked up: you did not name this host, text of strangers has been read, and a look-up would tell the name to "
    "name servers"
)


async def with_addresses(
    question: Question, tool: Tool, arguments: Mapping[str, Any], provenance: Provenance, before: Question | None
) -> Question:
    """The question with the addresses to which the call will connect.

    before: the same question as it was answered ahead; the addresses that it showed are kept, if they may be connected
    to. Raises SansiError where the call can not be made, so that nobody need be asked about it.
    """
    destination = tool.destination(arguments) if tool.destination is not None else None
    if destination is None:
        return question
    if before is not None and before.arguments == question.arguments and before.addresses:
        destination.check(before.addresses)
        return _showing(question, before.addresses)
    if not destination.is_number and not provenance.may_look_up(destination.host):
        return _told(question, NOT_LOOKED_UP)
    try:
        async with asyncio.timeout(SECONDS):
            return _showing(question, await destination.look_up())
    except TimeoutError:
        return _told(question, f"not looked up: no name server answered within {SECONDS:g} s")


def _showing(question: Question, addresses: Sequence[str]) -> Question:
    told = f"at {', '.join(addresses)}, and nowhere else"
    return replace(_told(question, told), addresses=tuple(addresses))


def _told(question: Question, text: str) -> Question:
    return replace(question, shown=f"{question.shown}\n({text})")
