"""PDF to text: a verdict for each page, paragraphs in reading order, pictures of the pages whose text is no text."""

from sansi.documents.pdf.layout import Laid, lay_out
from sansi.documents.pdf.pages import Line, Page, PdfFile, read_pages, render_pages
from sansi.documents.pdf.read import page_notes, read_pdf
from sansi.documents.pdf.verdict import Verdict, judge, judge_all

__all__ = [
    "Laid",
    "Line",
    "Page",
    "PdfFile",
    "Verdict",
    "judge",
    "judge_all",
    "lay_out",
    "page_notes",
    "read_pages",
    "read_pdf",
    "render_pages",
]
