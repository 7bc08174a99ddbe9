"""PDF files to text in up to three steps: their own text, pictures of pages that have none, and a pass that mends."""

from sansi.data.pdf.read import PdfReader
from sansi.data.pdf.settings import PdfSettings

__all__ = ["PdfReader", "PdfSettings"]
