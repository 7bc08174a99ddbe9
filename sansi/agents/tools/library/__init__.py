"""Files that can be searched: passages with their places, found by words (BM25) and, where there is a server for it, by
meaning."""

from sansi.agents.tools.library.embeddings import Embeddings
from sansi.agents.tools.library.index import Found, Index
from sansi.agents.tools.library.library import Library
from sansi.agents.tools.library.passages import Passage, passages_of

__all__ = ["Embeddings", "Found", "Index", "Library", "Passage", "passages_of"]
