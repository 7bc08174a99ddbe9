"""PDF files made by hand: as many bytes as they need, and every one of them known."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Sequence

PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
ID = bytes(range(16))


def pdf(pages: Sequence[str], title: str = "", password: str | None = None, mapped: bool = True) -> bytes:
    """A PDF of these texts, a page each; what is beyond Latin is drawn by a font with a character map of its own.

    password: encrypts it, RC4 of 40 bits. mapped=False: the font does not say which characters it draws.
    """
    font = _latin() if all(text.isascii() for text in pages) and mapped else _of_any_script("".join(pages), mapped)
    made = _Made(password)
    contents = [made.add_stream(_drawn(text, ascii_=len(font) == 1)) for text in pages]
    font_ids = [made.add(body) if isinstance(body, str) else made.add_stream(body) for body in font]
    resources = f"<< /Font << /F1 {_font_of(made, font_ids)} 0 R >> >>"
    return made.file(contents, resources, title)


def scan(count: int = 2) -> bytes:
    """Pages with a picture each and no text."""
    made = _Made(None)
    head = "/Type /XObject /Subtype /Image /Width 2 /Height 2 /ColorSpace /DeviceGray /BitsPerComponent 8"
    picture = made.add_stream(b"\x00\xff\xff\x00", head)
    contents = [made.add_stream(b"q 200 0 0 200 50 500 cm /I1 Do Q") for _ in range(count)]
    return made.file(contents, f"<< /XObject << /I1 {picture} 0 R >> >>", "")


class _Made:
    """Objects that are numbered as they come."""

    def __init__(self, password: str | None):
        self.objects: list[bytes] = []
        self._key = None if password is None else _key(password)

    def add(self, body: str) -> int:
        self.objects.append(body.encode("latin-1"))
        return len(self.objects)

    def add_stream(self, data: bytes, head: str = "") -> int:
        sealed = self._sealed(data)
        start = f"<< {head} /Length {len(sealed)} >>\nstream\n".encode()
        self.objects.append(start + sealed + b"\nendstream")
        return len(self.objects)

    def _sealed(self, data: bytes) -> bytes:
        """What stands in the object that is added next."""
        return data if self._key is None else _rc4(_object_key(self._key[0], len(self.objects) + 1), data)

    def file(self, contents: Sequence[int], resources: str, title: str) -> bytes:
        tree = len(self.objects) + len(contents) + 1
        page = f"<< /Type /Page /Parent {tree} 0 R /MediaBox [0 0 595 842] /Resources {resources} /Contents %d 0 R >>"
        kids = " ".join(f"{self.add(page % content)} 0 R" for content in contents)
        assert self.add(f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>") == tree
        catalog = self.add(f"<< /Type /Catalog /Pages {tree} 0 R >>")
        info = self.add(f"<< /Title <{self._sealed(codecs.BOM_UTF16_BE + title.encode('utf-16-be')).hex()}> >>")
        trailer = f"/Root {catalog} 0 R /Info {info} 0 R"
        if self._key is not None:
            _, owner, user = self._key
            sealed = f"<< /Filter /Standard /V 1 /R 2 /O <{owner.hex()}> /U <{user.hex()}> /P -4 >>"
            trailer += f" /Encrypt {self.add(sealed)} 0 R /ID [<{ID.hex()}> <{ID.hex()}>]"
        return self._written(trailer)

    def _written(self, trailer: str) -> bytes:
        out, places = b"%PDF-1.6\n%\xe2\xe3\xcf\xd3\n", []
        for number, body in enumerate(self.objects, 1):
            places.append(len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        rows = "".join(f"{place:010} 00000 n \n" for place in places)
        size = len(places) + 1
        table = f"xref\n0 {size}\n0000000000 65535 f \n{rows}trailer\n<< /Size {size} {trailer} >>\n"
        return out + table.encode() + b"startxref\n%d\n%%%%EOF\n" % len(out)


def _drawn(text: str, ascii_: bool) -> bytes:
    lines = ["BT /F1 12 Tf 50 780 Td 16 TL"]
    for line in text.split("\n"):
        shown = "(" + line.translate({40: r"\(", 41: r"\)", 92: r"\\"}) + ")" if ascii_ else f"<{_ids(line)}>"
        lines.append(f"{shown} Tj T*")
    return "\n".join([*lines, "ET"]).encode("latin-1")


def _ids(text: str) -> str:
    return text.encode("utf-16-be").hex()  # the number of a glyph is that of its character


def _latin() -> list[str | bytes]:
    return ["<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"]


def _of_any_script(text: str, mapped: bool) -> list[str | bytes]:
    """A font of which nothing is embedded, its descendant and its map from glyphs to characters."""
    system = "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
    descendant = f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Any {system} /DW 1000 >>"
    drawn = sorted(set(text) - {"\n"})
    meant = drawn if mapped else [chr(0xE000 + number) for number in range(len(drawn))]
    rows = "\n".join(f"<{_ids(glyph)}> <{_ids(character)}>" for glyph, character in zip(drawn, meant, strict=True))
    table = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Any def /CMapType 2 def\n"
        f"1 begincodespacerange <0000> <FFFF> endcodespacerange\n{len(drawn)} beginbfchar\n{rows}\nendbfchar\n"
        "endcmap CMapName currentdict /CMap defineresource pop end end"
    )
    return [descendant, table.encode()]


def _font_of(made: _Made, ids: Sequence[int]) -> int:
    if len(ids) == 1:
        return ids[0]
    descendant, table = ids
    head = "/Type /Font /Subtype /Type0 /BaseFont /Any /Encoding /Identity-H"
    return made.add(f"<< {head} /DescendantFonts [{descendant} 0 R] /ToUnicode {table} 0 R >>")


# --- the standard security handler, revision 2 (ISO 32000-1, section 7.6.3) ------------------------------------------


def _key(password: str) -> tuple[bytes, bytes, bytes]:
    padded = (password.encode() + PADDING)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    rights = (-4).to_bytes(4, "little", signed=True)
    key = hashlib.md5(padded + owner + rights + ID).digest()[:5]
    return key, owner, _rc4(key, PADDING)


def _object_key(key: bytes, number: int) -> bytes:
    return hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0").digest()[:10]


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    out = bytearray()
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
