"""Personal data in a text: addresses of e-mail and networks, telephone, card and account numbers, keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-zA-Z]{2,24}(?![\w-])")
_PHONE = re.compile(
    r"(?<![\w+./-])(?:\+\d{1,3}[ .\-/]?(?:\(\d{1,5}\)[ .\-/]?)?(?:\d[ .\-/]?){6,12}\d|\(\d{3}\) ?\d{3}[ .-]\d{4})(?!\w)"
)
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]?\w)")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_KEY = re.compile(
    r"(?<!\w)(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|sk-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|AIza[0-9A-Za-z_-]{35}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
    r"|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----.*?(?:-----END (?:[A-Z]+ )?PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_EXAMPLES = re.compile(r"@(?:[\w-]+\.)*(?:example|test|invalid|localhost)(?:\.[a-z]+)?$", re.IGNORECASE)
_KEY_SIGNS = ("AKIA", "gh", "sk-", "xox", "AIza", "eyJ", "PRIVATE KEY")
_DIGITS = re.compile(r"\d")


def count_personal(text: str) -> dict[str, int]:
    """How many of each kind are in a text: "email", "phone", "ip", "card", "iban", "key"."""
    return dict(Counter(kind for kind, _, _ in _found(text)))


def mask_personal(text: str) -> str:
    """The text with each of them replaced by the name of its kind: "write to <email>"."""
    parts, end = [], 0
    for kind, start, stop in sorted(_found(text), key=lambda found: (found[1], -found[2])):
        if start >= end:
            parts += [text[end:start], f"<{kind}>"]
            end = stop
    return "".join([*parts, text[end:]])


def _found(text: str) -> Iterator[tuple[str, int, int]]:
    if "@" in text:
        yield from (("email", *m.span()) for m in _EMAIL.finditer(text) if not _EXAMPLES.search(m[0]))
    if any(sign in text for sign in _KEY_SIGNS):
        yield from (("key", *m.span()) for m in _KEY.finditer(text))
    if not _DIGITS.search(text):
        return
    if "+" in text or "(" in text:
        yield from (("phone", *m.span()) for m in _PHONE.finditer(text))
    yield from (("ip", *m.span()) for m in _IP.finditer(text) if _is_public(m[0]))
    yield from (("card", *m.span()) for m in _CARD.finditer(text) if _has_luhn_digit(m[0]))
    yield from (("iban", *m.span()) for m in _IBAN.finditer(text) if _is_iban(m[0]))


def _is_public(address: str) -> bool:
    parts = [int(part) for part in address.split(".")]
    private = parts[0] in (0, 10, 127) or parts[0] >= 224 or parts[:2] == [192, 168] or parts[:2] == [169, 254]
    documented = parts[:3] in ([192, 0, 2], [198, 51, 100], [203, 0, 113])
    plain = parts[3] == 0  # 1.2.0.0 is a version
    return max(parts) < 256 and not (private or documented or plain or (parts[0] == 172 and 16 <= parts[1] < 32))


def _has_luhn_digit(number: str) -> bool:
    digits = [int(char) for char in number if char.isdigit()]
    if len(set(digits)) < 4 or digits[0] not in (3, 4, 5, 6):
        return False
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _is_iban(text: str) -> bool:
    code = text.replace(" ", "")
    if not 15 <= len(code) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in code[4:] + code[:4])) % 97 == 1
