"""Bytes to text by media type: plain text and source in any charset, Markdown, HTML, man pages, PDF and Word.

What cannot be read ends in one `SansiError` sentence that names the file, and never in bytes taken for text.
"""

from sansi.documents.document import Document, Limits
from sansi.documents.read import read_document

__all__ = ["Document", "Limits", "read_document"]
