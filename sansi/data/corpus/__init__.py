"""A corpus: built from sources by a configuration, and read back."""

from sansi.data.corpus.build import build_corpus
from sansi.data.corpus.config import CorpusConfig, SourceConfig
from sansi.data.corpus.inputs import CorpusInputs
from sansi.data.corpus.read import corpus_files, read_corpus
from sansi.data.corpus.report import CorpusReport, Origin, SourceReport
from sansi.data.corpus.write import write_corpus

__all__ = [
    "CorpusConfig",
    "CorpusInputs",
    "CorpusReport",
    "Origin",
    "SourceConfig",
    "SourceReport",
    "build_corpus",
    "corpus_files",
    "read_corpus",
    "write_corpus",
]
