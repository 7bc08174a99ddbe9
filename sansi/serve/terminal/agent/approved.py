"""What was approved for always, for a user to look at and take back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sansi.agents.approvals import Approvals
from sansi.base.errors import SansiError
from sansi.base.words import count


def approved(approvals: Approvals, forget: Sequence[str] = ()) -> Iterator[str]:
    """Take back the approvals of these numbers; without any, tell all of them and the rules of the file. A line each.

    Raises SansiError for a number that none has; then none is taken back.
    """
    remembered = approvals.remembered
    remembered.reread()
    known = list(remembered.approved)
    chosen = [known[_number(word, len(known)) - 1] for word in forget]
    for each in chosen:
        approvals.forget(each)
        yield f"forgotten, so that it asks again: {each}"
    if forget:
        return
    for number, each in enumerate(known, 1):
        yield f"{number}  {each}"
    for rule in remembered.rules:
        yield f"rule  {rule.verdict} {rule}  (written by hand)"
    where = "" if remembered.path is None else f" in {remembered.path}"
    yield f"{count(len(known), 'approval')} for always{where}"


def _number(word: str, last: int) -> int:
    if not (word.isascii() and word.isdecimal()) or not 1 <= int(word) <= last:
        there = f"there are 1 to {last}" if last else "there are none"
        raise SansiError(f'no approval has the number "{word:.20}"; {there}', param="forget")
    return int(word)
