"""Whether an answer declines instead of answering: by how it opens, in six languages."""

from __future__ import annotations

import re

LONGEST = 600  # characters: who declines is short, who writes more has tried

_SORRY = (
    r"(?:(?:i['’]?m|i am|we are)\s+(?:very |so |really )?(?:sorry|afraid)|(?:my )?apologies|sorry|unfortunately"
    r"|as an ai[^,.]*)"
)
_PATTERNS = (
    # English
    rf"(?:{_SORRY}[,.:;!]?\s*(?:but |that )?)?(?:i|we)\s*(?:['’]m|am|are)?\s*"
    r"(?:can['’]?t|can\s?not|could(?:n['’]t| not)|won['’]t|will not|not able|unable|do(?:n['’]t| not) know"
    r"|must decline)\b",
    # Chinese, Japanese
    r"(?:(?:很|非常)?(?:对不起|抱歉|對不起)[，,。！!]?\s*(?:但)?)?(?:我|本模型)?"
    r"(?:无法|不能|不会做|没办法|不知道|無法|不會做)",
    r"(?:(?:申し訳(?:ありません|ございません)|すみません)(?:が)?[、,。]?\s*)?"
    r"(?:お答えできません|その.{0,12}できません|わかりません)",
    # German, French, Spanish
    r"(?:(?:es )?tut mir leid[,.]?\s*(?:aber )?)?(?:ich )?(?:kann|werde)\s+(?:ich )?(?:\S+\s){0,4}?nicht\b",
    r"ich weiß (?:es )?nicht\b",
    r"(?:(?:je suis )?désolée?[,.]?\s*(?:mais )?)?je ne (?:peux|sais|suis) pas\b",
    r"(?:lo siento[,.]?\s*(?:pero )?)?no (?:puedo|lo sé|sé)\b",
)
_DECLINES = re.compile(rf"\s*(?:{'|'.join(_PATTERNS)})", re.IGNORECASE)


def declines(text: str) -> bool:
    """Whether a short text opens with not being able or willing to answer."""
    return len(text) <= LONGEST and _DECLINES.match(text) is not None
