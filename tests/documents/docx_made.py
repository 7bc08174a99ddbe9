"""Word documents, made by hand."""

from __future__ import annotations

import io
import zipfile

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"
MAIN_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
STYLES = """
<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Aufz"><w:name w:val="List Bullet"/></w:style>
"""


def part(root: str, inside: str) -> str:
    return f'<?xml version="1.0"?><w:{root} xmlns:w="{W}" xmlns:m="{M}" xmlns:mc="{MC}">{inside}</w:{root}>'


def docx(body: str, *, main="word/document.xml", footnotes="", styles=STYLES, title="", whole=None, **parts) -> bytes:
    """whole: the main part as it is, instead of a body. parts: further ones, by their names."""
    types = f'<Types><Override PartName="/{main}" ContentType="{MAIN_TYPE}"/></Types>'
    core = f'<c xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></c>'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("[Content_Types].xml", types)
        file.writestr("docProps/core.xml", core)
        file.writestr("word/styles.xml", part("styles", styles))
        if footnotes:
            file.writestr("word/footnotes.xml", part("footnotes", footnotes))
        file.writestr(main, whole if whole is not None else part("document", f"<w:body>{body}</w:body>"))
    return packed.getvalue()


def p(text: str = "", style: str = "", inside: str = "", properties: str = "") -> str:
    """A paragraph of one run, and what else stands in it."""
    style = f'<w:pStyle w:val="{style}"/>' if style else ""
    run = f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>' if text else ""
    return f"<w:p><w:pPr>{style}{properties}</w:pPr>{run}{inside}</w:p>"


def table(*rows: tuple[str, ...]) -> str:
    lines = "".join(f"<w:tr>{''.join(f'<w:tc>{p(cell)}</w:tc>' for cell in row)}</w:tr>" for row in rows)
    return f"<w:tbl>{lines}</w:tbl>"
