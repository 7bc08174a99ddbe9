"""What is no text, made for training and for measuring: code, encoded bytes, mojibake, logs, numbers, addresses."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Sequence

WRONG = (
    ("utf-8", "latin-1"),
    ("utf-8", "cp1252"),
    ("utf-8", "cp1251"),
    ("utf-8", "cp437"),
    ("utf-8", "cp866"),
    ("utf-8", "mac-roman"),
    ("utf-8", "koi8-r"),
    ("utf-8", "cp1250"),
    ("cp1251", "latin-1"),
    ("cp1251", "koi8-r"),
    ("koi8-r", "latin-1"),
    ("koi8-r", "cp1251"),
    ("cp866", "cp1251"),
    ("cp1253", "latin-1"),
    ("cp1255", "latin-1"),
    ("cp1256", "latin-1"),
    ("gb18030", "latin-1"),
    ("shift-jis", "latin-1"),
    ("euc-kr", "latin-1"),
    ("big5", "latin-1"),
    ("utf-8", "gbk"),
    ("utf-8", "shift-jis"),
    ("euc-jp", "cp1252"),
    ("utf-16-le", "latin-1"),
)
ENCODERS = (base64.b64encode, base64.b64encode, base64.urlsafe_b64encode, base64.b32encode, base64.b85encode)
WORDS = ("user id name time value error warn info debug start stop request response node host path size count").split()  # noqa: SIM905


def mojibake(text: str, rng: random.Random) -> str | None:
    """The text's bytes read as another encoding, or None where that leaves most of it as it was."""
    written, read = rng.choice(WRONG)
    wrong = text.encode(written, "ignore").decode(read, "replace")
    damaged = sum(ord(char) > 0x7F for char in wrong)
    return wrong if len(wrong) > 8 and damaged > 0.3 * len(wrong) and wrong != text else None


def encoded(rng: random.Random) -> str:
    """Bytes as base64, base32, base85, hexadecimal, percent escapes; keys and digests."""
    data = rng.randbytes(rng.randint(8, 160))
    made: Callable[[bytes], bytes] = rng.choice(ENCODERS)
    kind = rng.random()
    if kind < 0.5:
        return made(data).decode()
    if kind < 0.7:
        between, size = rng.choice([("", 1), (" ", 1), (":", 1), (" ", 2), (" ", 4)])
        text = data.hex(between, size) if between else data.hex()
        return text.upper() if rng.random() < 0.3 else text
    if kind < 0.8:
        return " ".join(data[n : n + 16].hex() for n in range(0, len(data), 16))
    if kind < 0.9:
        return "".join(f"%{byte:02X}" for byte in data)
    return "\n".join(
        f"{n:08x}  {data[n : n + 16].hex(' ')}  |{printable(data[n : n + 16])}|" for n in range(0, len(data), 16)
    )


def printable(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)


def raw_bytes(rng: random.Random) -> str:
    """Bytes that are read as if they were text, or random characters."""
    data = rng.randbytes(rng.randint(20, 200))
    kind = rng.random()
    if kind < 0.6:
        return data.decode(rng.choice(["latin-1", "cp1252", "utf-8", "cp437", "cp1251", "utf-16-le", "gbk"]), "replace")
    letters = rng.choice(
        [string.ascii_lowercase, string.ascii_letters, string.ascii_letters + string.digits, string.printable]
    )
    return "".join(rng.choices(letters + "    "[: rng.randint(0, 4)], k=rng.randint(20, 200)))


def numbers(rng: random.Random) -> str:
    """Tables, dates, amounts, coordinates."""

    def one() -> str:
        return rng.choice(
            [
                str(rng.randint(0, 10 ** rng.randint(1, 9))),
                f"{rng.uniform(-1e3, 1e3):.{rng.randint(1, 6)}f}",
                f"{rng.randint(1900, 2030)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
                f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}",
                f"{rng.uniform(0, 100):.1f}%",
                f"${rng.randint(1, 9999)}.00",
                f"{rng.uniform(-9, 9):.3e}",
                f"({rng.randint(0, 99)}, {rng.randint(0, 99)})",
            ]
        )

    return rng.choice([" ", ", ", "\t", " | ", "\n"]).join(one() for _ in range(rng.randint(4, 40)))


def log_lines(rng: random.Random) -> str:
    """What programs write about themselves."""

    def one() -> str:
        day = f"{rng.randint(2000, 2030)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        stamp = f"{day}T{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
        fields = " ".join(
            f"{rng.choice(WORDS)}={rng.choice([str(rng.randint(0, 9999)), rng.randbytes(4).hex()])}"
            for _ in range(rng.randint(1, 5))
        )
        address = ".".join(str(rng.randint(0, 255)) for _ in range(4))
        return rng.choice(
            [
                f"{stamp}Z {rng.choice(['INFO', 'WARN', 'ERROR', 'DEBUG'])} "
                f"[{rng.choice(WORDS)}-{rng.randint(1, 20)}] {fields}",
                f'{address} - - [{stamp}] "GET /{rng.choice(WORDS)}/{rng.randint(1, 999)}.'
                f'{rng.choice(["js", "php", "png"])} HTTP/1.1" {rng.choice([200, 404])} {rng.randint(100, 99999)}',
                f"/usr/lib/{rng.choice(WORDS)}/{rng.choice(WORDS)}.so.{rng.randint(0, 9)}: {fields}",
                json.dumps({rng.choice(WORDS): rng.randint(0, 999), rng.choice(WORDS): rng.randbytes(6).hex()}),
                f"https://{rng.choice(WORDS)}.example.org/{rng.choice(WORDS)}?{fields.replace(' ', '&')}",
            ]
        )

    return "\n".join(one() for _ in range(rng.randint(1, 6)))


def excerpt(code: Sequence[str], rng: random.Random) -> str:
    """Some lines of one of the files of code."""
    file = rng.choice(code)
    start = rng.randrange(max(1, len(file) - 200))
    lines = file[start : start + 1200].split("\n")
    return "\n".join(lines[1 : 1 + rng.randint(1, 12)] or lines)[:600]


def make_noise(texts: Sequence[str], code: Sequence[str], rng: random.Random) -> str:
    """A piece of no text. `texts`: what mojibake is made of; `code`: source files."""
    makers: list[tuple[float, Callable[[], str | None]]] = [
        (0.40, lambda: excerpt(code, rng)),
        (0.20, lambda: mojibake(rng.choice(texts), rng)),
        (0.15, lambda: encoded(rng)),
        (0.10, lambda: raw_bytes(rng)),
        (0.05, lambda: numbers(rng)),
        (0.10, lambda: log_lines(rng)),
    ]
    while True:
        maker = rng.choices([make for _, make in makers], [weight for weight, _ in makers])[0]
        made = maker()
        if made and made.strip():
            return made
