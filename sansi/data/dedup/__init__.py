"""Remove what was seen before: repeated documents, and repeated paragraphs where a readable document stays.

All documents are judged in an order of their own (originals first, then the longer before the shorter, then by
digest), each against those that are kept of the ones before, so that the result does not depend on the order of sources
or files, nor does a second pass change it. The rules, of which a document ends in one:

1. It is dropped as a *duplicate* if it resembles a kept document as a whole: if the Jaccard index of their runs of 3
   words is at least `similarity` (0.8: one word in 27 changed, evenly spread); as *contained in another* if at least
   `containment` (0.95) of its runs stand in one that it was compared with. Candidates come from MinHash keys; the
   numbers that decide are counted exactly. Of code, runs of 6 tokens are compared, and the comment at the head of a
   file, where the licence stands, is left out. What resembles only something that was dropped stays.
2. Of prose and reference, paragraphs of at least 12 words that a kept document holds (or the same one, earlier) are
   taken out, with the headings and lead-ins that would be left without their text. Verse and code stay whole.
3. The document is dropped as *mostly repeated* if this would leave a patchwork: if a third or more of what lies between
   its first and its last new paragraph goes, or if repeats at its ends are more than two thirds of it. Repeats at the
   ends that stand in three documents or more are boilerplate, and do not count.
4. What is left goes through rule 1 once more, against what is left of the others.
"""

from sansi.data.dedup.config import DedupConfig, proposed
from sansi.data.dedup.decisions import Decision, apply, apply_all, decision_files, read_decisions
from sansi.data.dedup.deduplicate import deduplicate
from sansi.data.dedup.report import DedupReport, SourceLoss

SIMILARITY, SHINGLE_WORDS = DedupConfig.similarity, 3

__all__ = [
    "Decision",
    "DedupConfig",
    "DedupReport",
    "SourceLoss",
    "apply",
    "apply_all",
    "decision_files",
    "deduplicate",
    "proposed",
    "read_decisions",
]
