"""Readers: from what a user names (a file, a folder, a pattern) to parts of about 8 MB, and from a part to its records.

A part is the same on every run while the files are the same, so that work can be done, kept and taken up part by part.
What cannot be read ends in a `BadRecord` that says where and why; nothing is left out without a word.
"""

from sansi.data.readers.fields import Fields
from sansi.data.readers.parts import FORMATS, format_of, parts_of

__all__ = ["FORMATS", "Fields", "format_of", "parts_of"]
