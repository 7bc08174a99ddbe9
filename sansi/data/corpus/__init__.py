"""A corpus: built from sources by a configuration, and read back."""

from typing import TYPE_CHECKING

from sansi.base.later import later
from sansi.data.corpus.origin import Origin
from sansi.data.corpus.read import corpus_files, read_corpus
from sansi.data.corpus.report import CorpusReport, SourceReport
from sansi.data.corpus.write import write_corpus

if TYPE_CHECKING:
    from sansi.data.corpus.build import build_corpus
    from sansi.data.corpus.config import CorpusConfig, SourceConfig

__all__ = [
    "CorpusConfig",
    "CorpusReport",
    "Origin",
    "SourceConfig",
    "SourceReport",
    "build_corpus",
    "corpus_files",
    "read_corpus",
    "write_corpus",
]

# Building one takes what only the extra `train` brings.
__getattr__ = later(__name__, {"build_corpus": "build", "CorpusConfig": "config", "SourceConfig": "config"})
