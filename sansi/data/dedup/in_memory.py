"""Remove what was seen before: repeated documents, and repeated paragraphs where a readable document stays.

All documents are judged in an order of their own (originals first, then the longer before the shorter, then by
digest), each against those already kept, so that the result does not depend on the order of sources or files. Nor does
a second pass change it. The rules, of which a document ends in one:

1. Of prose and reference, paragraphs of at least 12 words that a kept document holds (or the same one, earlier) are
   taken out, with the headings and lead-ins that would be left without their text. Verse and code stay whole.
2. The document is dropped as *mostly repeated* if this would leave a patchwork: if a third or more of what lies between
   its first and its last new paragraph goes, or if repeats at its ends are more than two thirds of it. Repeats at the
   ends that stand in three documents or more are boilerplate, and do not count.
3. What is left is dropped as a *duplicate* if it resembles what is left of a kept document: if the Jaccard index of
   their runs of 3 words is at least `similarity` (0.8: one word in 27 changed, evenly spread). Candidates come from
   MinHash signatures; the index that decides is counted exactly. Of code, runs of 6 tokens are compared, and the
   comment at the head of a file, where the licence stands, is left out.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.data.blocks import Block, join_blocks, split_blocks, with_orphans, without
from sansi.data.documents import Document
from sansi.data.stage import Place
from sansi.data.words import read_words

SIMILARITY = 0.8
MIN_PARAGRAPH = 12  # words; shorter paragraphs, such as headings, may repeat
MAX_HOLES = 1 / 3  # of the text between the first and the last new paragraph
MIN_REST = 1 / 3  # of a document without boilerplate
BOILERPLATE = 3  # documents that share it
SHINGLE_WORDS, SHINGLE_TOKENS = 3, 6
MIN_BODY = 20  # tokens of code without which the head is compared too
PERMUTATIONS, BANDS, BAND_ROWS = 128, 32, 4  # finds a pair of similarity 0.8 but for one time in 20 million
CHUNK = 1 << 14  # shingles hashed at once, to bound memory

_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_INVERSE = pow(_MULTIPLIER, -1, 1 << 64)
_CODE_TOKEN = re.compile(r"\w+|[^\w\s]")
# Lines of comments in the usual languages, and block comments; also a shebang, blank lines between them.
_HEAD = re.compile(
    r"(?:[ \t]*(?:(?:#|//|--|;|%|'|!|REM\b|\.\\\")[^\n]*)?\n|[ \t]*/\*.*?\*/[ \t]*\n?|[ \t]*<!--.*?-->[ \t]*\n?"
    r"|[ \t]*\(\*.*?\*\)[ \t]*\n?|[ \t]*\{-.*?-\}[ \t]*\n?|<\?php[ \t]*\n"
    r"|[ \t]*(?:\'{3}|\"{3}).*?(?:\'{3}|\"{3})[ \t]*\n)*+",
    re.DOTALL,
)


class Deduplicator:
    """Judges documents one by one against those kept before. Calling it on all judges them in the order of its own."""

    def __init__(self, similarity: float = SIMILARITY, revise: Callable[[Document], Document | str] | None = None):
        """`revise` takes what is left of a document that lost paragraphs, and says as what it is kept or why not."""
        try:
            from datasketch import MinHashLSH
        except ImportError as error:
            raise SansiError(f"deduplication needs datasketch; run: {install_command('train')}") from error
        if not 0 < similarity <= 1:
            raise SansiError(f'"similarity" is {similarity}; it must lie above 0 and be at most 1', param="similarity")
        self.similarity, self.revise = similarity, revise
        self.dropped: Counter[str] = Counter()
        self.repeated_bytes = 0  # taken out of documents that were kept
        self._documents_with: Counter[bytes] = Counter()  # paragraph -> documents
        self._digests: dict[str, list[bytes]] = {}  # of documents that were counted and not yet judged
        self._paragraphs: set[bytes] = set()
        self._index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, BAND_ROWS))
        self._kept: list[npt.NDArray[np.uint32]] = []

    def __call__(self, documents: Iterable[Document]) -> list[Document]:
        """The documents to keep, without repeated paragraphs, in the order given."""
        documents = list(documents)
        for document in documents:
            self.count(document)
        judged = {index: self.judge(documents[index]) for index in judging_order(documents)}
        return [kept for index in range(len(documents)) if (kept := judged[index]) is not None]

    def count(self, document: Document) -> None:
        """Note the document's paragraphs, before any is judged: what stands in many documents is boilerplate."""
        if _has_paragraphs(document):
            digests = self._digests[document.sha256] = _digests(split_blocks(document.text))
            self._documents_with.update(filter(None, set(digests)))

    def judge(self, document: Document) -> Document | None:
        """The document without what was seen before, or None for a reason that `dropped` counts."""
        rest, digests = self._without_repeats(document) if _has_paragraphs(document) else (document, set())
        if isinstance(rest, str):
            return self._drop(rest)
        shingles = code_shingles(rest.text) if document.kind == "code" else word_shingles(rest.text)
        signature = minhash(shingles)
        if self._is_known(shingles, signature):
            return self._drop("duplicate")
        if rest is not document and self.revise:
            rest = self.revise(rest)
            if isinstance(rest, str):
                return self._drop(rest)
        self._index.insert(len(self._kept), signature)
        self._kept.append(shingles)
        self._paragraphs |= digests
        self.repeated_bytes += document.size - rest.size
        return rest

    def _drop(self, reason: str) -> Document | None:
        self.dropped[reason] += 1
        return None

    def _without_repeats(self, document: Document) -> tuple[Document | str, set[bytes]]:
        """What is left of the document, or why nothing is; and the digests of its paragraphs."""
        blocks = split_blocks(document.text)
        digests = self._digests.pop(document.sha256, None) or _digests(blocks)
        seen: set[bytes] = set()
        repeated = set()
        for index, digest in enumerate(digests):
            if digest and (digest in self._paragraphs or digest in seen):
                repeated.add(index)
            seen.add(digest)
        seen.discard(b"")
        if not repeated:
            return document, seen
        known = {
            index for index in repeated if digests[index] in self._paragraphs
        }  # what it repeats of itself is no loss
        if known.issuperset(index for index, digest in enumerate(digests) if digest):
            return "duplicate", seen
        if not self._leaves_a_document(blocks, digests, known):
            return "mostly repeated", seen
        short = {index for index, digest in enumerate(digests) if not digest}
        return document.with_text(join_blocks(without(blocks, with_orphans(blocks, repeated, short)))), seen

    def _leaves_a_document(self, blocks: Sequence[Block], digests: Sequence[bytes], known: set[int]) -> bool:
        sizes = {index: len(blocks[index].text.encode()) for index, digest in enumerate(digests) if digest}
        new = [index for index in sizes if index not in known]
        inside = [index for index in sizes if new[0] < index < new[-1]]
        holes = sum(sizes[index] for index in inside if index in known)
        ends = [index for index in known if not new[0] < index < new[-1]]
        counted = sum(sizes[index] for index in ends if self._documents_with[digests[index]] < BOILERPLATE)
        rest = sum(sizes[index] for index in new)
        return holes < MAX_HOLES * (rest + holes) and rest >= MIN_REST * (rest + holes + counted)

    def _is_known(self, shingles: npt.NDArray[np.uint32], signature: Any) -> bool:
        # The signatures only name candidates: what they estimate is off by several hundredths.
        candidates = self._index.query(signature)
        return any(jaccard(shingles, self._kept[key]) >= self.similarity for key in candidates)


def judging_order(documents: Sequence[Document] | Sequence[Place]) -> list[int]:
    """Indices of the documents in the order in which they are judged, whatever order they come in."""
    return sorted(
        range(len(documents)),
        key=lambda i: (not documents[i].original, -documents[i].size, documents[i].sha256, documents[i].id),
    )


def jaccard(first: npt.NDArray[np.uint32], second: npt.NDArray[np.uint32]) -> float:
    """Shared elements of two sets (sorted, distinct) by all their elements."""
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / max(len(first) + len(second) - shared, 1)


def word_shingles(text: str) -> npt.NDArray[np.uint32]:
    """Distinct hashes of all runs of SHINGLE_WORDS words, whatever the script."""
    words = read_words(text)
    return _run_hashes(words.tokens, *words.windows(SHINGLE_WORDS))


def code_shingles(text: str) -> npt.NDArray[np.uint32]:
    """Distinct hashes of all runs of SHINGLE_TOKENS tokens of a program without the comment at its head."""
    head = _HEAD.match(text + "\n")
    tokens = _CODE_TOKEN.findall(text[head.end() :] if head else text)
    if len(tokens) < MIN_BODY:
        tokens = _CODE_TOKEN.findall(text)
    begins = np.arange(max(len(tokens) - SHINGLE_TOKENS + 1, 0))
    return _run_hashes(tokens, begins, begins + SHINGLE_TOKENS)


def minhash(shingles: npt.NDArray[np.uint32]) -> Any:
    """The MinHash signature of a set of shingles."""
    signature = _empty_minhash().copy()
    for begin in range(0, len(shingles), CHUNK):
        signature.update_batch(shingles[begin : begin + CHUNK])
    return signature


@functools.cache
def _empty_minhash() -> Any:
    # Drawing the permutations takes longer than hashing a short text, so it is done once.
    from datasketch import MinHash

    return MinHash(PERMUTATIONS, seed=1, hashfunc=int)


def _run_hashes(
    tokens: Sequence[str], begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    if not len(begins):  # shorter than one run
        begins, ends = np.asarray([0]), np.asarray([len(tokens)])
    # A run is a polynomial in its tokens, from differences of running sums; all of it wraps in 64 bits on purpose.
    size = len(tokens) + 1
    powers = np.cumprod(np.full(size, _MULTIPLIER, np.uint64))
    inverses = np.cumprod(np.full(size, _INVERSE, np.uint64))
    sums = np.zeros(size, np.uint64)
    np.cumsum(np.fromiter(map(_token_hash, tokens), np.uint64, len(tokens)) * powers[:-1], out=sums[1:])
    runs = (sums[ends] - sums[begins]) * inverses[begins]
    return np.unique(
        ((runs ^ (runs >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(32)).astype(np.uint32)
    )


@functools.lru_cache(1 << 18)
def _token_hash(token: str) -> int:
    raw = token.encode("utf-8", "surrogatepass")
    return zlib.crc32(raw) | zlib.crc32(raw, 0x5EED) << 32


def _digests(blocks: Sequence[Block]) -> list[bytes]:
    """A digest of each paragraph that is long enough to be told apart by it; b"" of the others."""
    return [_digest(block) for block in blocks]


def _digest(block: Block) -> bytes:
    words = read_words(block.text)
    if block.level or words.count < MIN_PARAGRAPH:
        return b""
    # A listing is the same only to the letter.
    text = block.text.strip() if block.is_fenced else " ".join(words.tokens)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _has_paragraphs(document: Document) -> bool:
    return document.kind in ("prose", "reference")
