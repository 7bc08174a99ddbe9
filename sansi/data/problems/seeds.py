"""Which seeds belong to evaluation and which to training, so that neither draws what the other does.

The gym draws item i of a dataset from Random(seed + i), so ranges of seeds, not seeds, have to be disjoint.
"""

from __future__ import annotations

from sansi.base.errors import SansiError

EVALUATION_SEED = 1_000_000
LAST_EVALUATION_SEED = 999_000_000  # an evaluation set draws from this seed and those after it
TRAINING_SEED = 1_000_000_000
TRAINING_STREAMS, STREAM_SEEDS = 1000, 100_000_000


def first_training_seed(stream: int) -> int:
    """Where the seeds of a training stream start. Raises SansiError for a stream that there is not."""
    if isinstance(stream, bool) or not isinstance(stream, int) or not 0 <= stream < TRAINING_STREAMS:
        raise SansiError(f"training seed {stream!r:.80} is out of range; use 0 to {TRAINING_STREAMS - 1}", param="seed")
    return TRAINING_SEED + stream * STREAM_SEEDS


def check_evaluation_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LAST_EVALUATION_SEED:
        raise SansiError(f"evaluation seed {seed!r:.80} is out of range; use 0 to {LAST_EVALUATION_SEED}", param="seed")
    return seed
