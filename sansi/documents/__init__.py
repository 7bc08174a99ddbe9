"""Bytes to text by media type: plain text and source in any charset, Markdown, HTML, man pages, PDF and Word.

What cannot be read ends in one `SansiError` sentence that names the file, and never in bytes taken for text.
"""

from sansi.documents.document import Document, DocumentError, How, Limits
from sansi.documents.read import extract_document, read_document

__all__ = ["Document", "DocumentError", "How", "Limits", "extract_document", "read_document"]
