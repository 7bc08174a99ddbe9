"""Prompt lookup: drafts copied from what followed the same tokens earlier, with no second model.

Why checking drafts changes no token. The sampler is a function: the token at position i is s(logits_i, seed, i), the
inverse of the filtered distribution at a number that depends on seed and position alone (greedy: the largest logit).
One forward over drafts d_1 … d_k gives logits_0 … logits_k, where logits_j is what follows the prefix and d_1 … d_j.
The engine takes t_0 = s(logits_0), and t_j = s(logits_j) only while t_0 … t_{j-1} equal d_1 … d_j. So each token taken
is s of the logits after exactly the tokens taken before it: by induction the very sequence of plain decoding, at any
temperature, hence also its distribution. Penalties, bans, thinking limits and grammars are applied between one token
and the next, as in plain decoding, so they see accepted tokens only. Rejected drafts leave keys and values at positions
that the next step overwrites before anything reads them. What is left is rounding: a backend whose logits depend on how
many tokens share a forward may break a near tie differently; batch-invariant kernels do not.

Prompt lookup: Saxena 2023; drafts checked by the sampler's own choice: Leviathan et al. 2023, section 2, with a shared
random number in place of rejection sampling.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sansi.engine.grammar import GrammarState

SHORTEST = 2  # tokens that must agree before what followed them is a draft
LONGEST = 16  # agreement beyond this makes no match better
CANDIDATES = 8  # latest places that are compared
LONGEST_PAUSE = 32  # steps without drafts after repeated failure


class Drafter:
    """What one request proposes: text that its grammar leaves no choice about, else what prompt lookup finds.

    Drafts that cannot come are left out: those that the grammar refuses, and all from a stop id on.
    """

    def __init__(self, prompt: Sequence[int], stop_ids: Collection[int] = (), grammar: GrammarState | None = None):
        self.drafted = 0
        """Tokens proposed and checked."""
        self.accepted = 0
        """How many of them came true."""
        self._lookup = PromptLookup(prompt)
        self._stop_ids, self._grammar = frozenset(stop_ids), grammar
        self._looked_up = False  # where the last proposal came from

    def propose(self, tokens: Sequence[int], most: int) -> list[int]:
        """At most `most` drafts for what follows `tokens`, prompt and completion, which only grow from call to call."""
        drafts = self._grammar.forced(most) if self._grammar is not None else []
        self._looked_up = not drafts
        if self._looked_up:
            drafts = self._lookup.propose(tokens, most)
        end = next((i for i, id_ in enumerate(drafts) if id_ in self._stop_ids), len(drafts))
        if end and self._grammar is not None:
            end = self._grammar.possible(drafts[:end])
        return drafts[:end]

    def checked(self, drafted: int, accepted: int) -> None:
        """Of the last proposal `drafted` tokens were checked, and the first `accepted` of them came."""
        self.drafted += drafted
        self.accepted += accepted
        if self._looked_up:
            self._lookup.checked(drafted, accepted)


class PromptLookup:
    """Drafts from the tokens so far. Indexing costs a constant per token, a proposal a constant number of comparisons.

    How many are drafted follows how many came true: all of them, and the next draft may be twice as long; fewer, and it
    is one longer than what did; none, again and again, and drafting pauses for 1, 2, 4 … steps.
    """

    def __init__(self, prompt: Sequence[int] = ()):
        self._latest: dict[tuple[int, int], int] = {}  # last SHORTEST tokens -> position after them, the latest
        self._earlier: list[int] = []  # by position: the position before it after the same tokens; -1: none
        self._indexed = 0
        self._length = 4
        self._pause = self._failures = 0
        self._index(prompt)

    def propose(self, tokens: Sequence[int], most: int) -> list[int]:
        """At most `most` drafts for what follows `tokens`; none where nothing like their end came before.

        tokens: prompt and completion; they only grow from call to call.
        """
        self._index(tokens)
        if self._pause > 0:
            self._pause -= 1
            return []
        found = self._find(tokens)
        return [] if found is None else _copy(tokens, found, min(most, self._length))

    def checked(self, drafted: int, accepted: int) -> None:
        """Of the last proposal `drafted` tokens were checked, and the first `accepted` of them came."""
        if not drafted:
            return
        self._length = 2 * self._length if accepted == drafted else accepted + 1
        self._length = min(self._length, 1 << 10)
        self._failures = 0 if accepted else self._failures + 1
        if self._failures > 1:
            self._pause = min(1 << (self._failures - 2), LONGEST_PAUSE)

    def _index(self, tokens: Sequence[int]) -> None:
        self._earlier += [-1] * (len(tokens) + 1 - len(self._earlier))
        for end in range(max(self._indexed + 1, SHORTEST), len(tokens) + 1):
            key = (tokens[end - 2], tokens[end - 1])
            self._earlier[end] = self._latest.get(key, -1)
            self._latest[key] = end
        self._indexed = len(tokens)

    def _find(self, tokens: Sequence[int]) -> int | None:
        """Where the longest match of the end of `tokens` ended before; the latest of equals."""
        best, longest = None, 0
        place = self._earlier[len(tokens)]
        for _ in range(CANDIDATES):
            if place < 0 or longest == LONGEST:
                break
            length = _agreement(tokens, place)
            if length > longest:
                best, longest = place, length
            place = self._earlier[place]
        return best


def _agreement(tokens: Sequence[int], place: int) -> int:
    """How many tokens before `place` equal those at the end, up to LONGEST."""
    length, end = SHORTEST, len(tokens)
    while length < min(LONGEST, place) and tokens[place - 1 - length] == tokens[end - 1 - length]:
        length += 1
    return length


def _copy(tokens: Sequence[int], place: int, count: int) -> list[int]:
    """`count` tokens from `place` on; beyond the end the copy goes on with itself, as a repetition would."""
    period = len(tokens) - place  # at least 1: a match ends before the end
    return [tokens[place + i % period] for i in range(count)]
