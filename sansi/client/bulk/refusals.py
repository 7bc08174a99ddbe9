"""Answers that say no, or go round in circles."""

from __future__ import annotations

import re

LONGEST_REFUSAL = 600  # characters; a longer text may begin with an apology and help all the same
TURNS = 8  # of a loop that is one
LOOP_CHARACTERS = 400  # that its turns take together
LOOKED_AT = 20_000  # last characters
WORDLESS = re.compile(r"[\W_]*")

NOT_ABLE = (
    "(?:can(?:no|['’])t(?! only)|can not(?! only)|am unable|am not able|unable|not able|won['’]t|must decline"
    "|do not have the ability)"
)
_BEGINNINGS = (
    # As models begin when they decline, in the languages in which they do it by rote.
    rf"(?:i['’]?m |i am )?(?:very |so |really |truly )?(?:sorry|afraid)\b.{{0,60}}?{NOT_ABLE}",
    rf"(?:unfortunately,? |i apologi[sz]e,? (?:but )?)?(?:i|we) {NOT_ABLE}",
    r"as an ai\b|as a (?:large )?language model\b",
    r"(?:很|非常)?(?:抱歉|对不起|對不起).{0,20}?(?:无法|不能|無法)|作为(?:一个|一名)?(?:AI|人工智能|大?语言模型)",
    r"申し訳(?:ありません|ございません)|죄송(?:합니다|하지만)",
    r"lo siento,? .{0,30}?no puedo|je suis désolée?,? .{0,40}?ne (?:peux|puis)|je ne peux pas",
    r"es tut mir leid,? .{0,60}?kann|ich kann (?:dabei |das |ihnen |dir )?(?:leider )?nicht",
    r"(?:desculpe|lamento),? .{0,30}?não posso|mi dispiace,? .{0,30}?non posso",
    r"извините,? .{0,30}?не мо(?:гу|жем)|عذر[اًا]*،? .{0,30}?لا (?:أستطيع|يمكنني)|मुझे खेद है",
)
REFUSAL = re.compile(r"\s*(?:" + "|".join(_BEGINNINGS) + ")", re.IGNORECASE | re.DOTALL)


def is_refusal(text: str) -> bool:
    """Whether a short answer declines to do what was asked, by how it begins."""
    return len(text) <= LONGEST_REFUSAL and REFUSAL.match(text) is not None


def loops(text: str, cut: bool) -> bool:
    """Whether a text ends by repeating one piece at least 8 times over 400 characters and more.

    cut: the model was stopped in it. One that ended by itself may end with the equal rows of a table: it is a loop
    where that is more than half of it, and has words.
    """
    backwards = text[-LOOKED_AT:].rstrip()[::-1]
    period = _period(backwards)
    if period is None:
        return False
    if cut:
        return True
    length = period
    while length < len(backwards) and backwards[length] == backwards[length - period]:
        length += 1
    return 2 * length > len(backwards) and not WORDLESS.fullmatch(backwards[:period])


def _period(backwards: str) -> int | None:
    """Characters of the shortest piece whose repetition the beginning is, where nothing differs between its turns."""
    if len(backwards) < LOOP_CHARACTERS:
        return None
    probe, period = backwards[: LOOP_CHARACTERS - LOOP_CHARACTERS // TURNS], 0
    while (period := backwards.find(probe, period + 1)) > 0:
        whole = max(TURNS * period, LOOP_CHARACTERS)
        if len(backwards) < whole:
            return None
        if backwards[period:whole] == backwards[: whole - period]:
            return period
    return None
