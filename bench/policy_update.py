"""One update of reasoning RL at a large vocabulary: peak memory and CPU seconds, beside a loss over all logits.

    OMP_NUM_THREADS=1 python bench/policy_update.py [--vocab 151936] [--rollouts 16] [--tokens 128]

"packed" is the room's own: rollouts packed into rows, the head on sampled tokens alone and in chunks. "padded" is the
plain way: one rollout to a row, padded on the right, and log_softmax over the logits [rows, T, V]. Both have the same
loss. Each runs in a process of its own, so that its peak is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from sansi.model import ModelConfig, Transformer
from sansi.post.packing import Learned, pack_rollouts
from sansi.post.policy import PolicyGradient
from sansi.post.rewards import Reward
from sansi.post.sampling import Rollout
from torch import Tensor

WAYS = ("padded", "packed")
PROMPT = 16


def make_model(vocab: int) -> Transformer:
    """One thin layer: what is measured is the head."""
    shape = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "max_position_embeddings": 4096}
    return Transformer(ModelConfig.preset("nano", vocab_size=vocab, **shape))


def make_rollouts(count: int, tokens: int, vocab: int) -> list[Learned]:
    """Lengths from a third of `tokens` to all of it."""
    draw = torch.Generator().manual_seed(0)
    made = []
    for _ in range(count):
        length = int(torch.randint(tokens // 3, tokens + 1, (), generator=draw))
        ids = torch.randint(0, vocab, (length,), generator=draw).tolist()
        rollout = Rollout([1] * PROMPT, ids, [-11.9] * length, Reward(1, True, True), False)
        made.append(Learned(rollout, float(torch.randn((), generator=draw))))
    return made


def padded(model: Transformer, learned: list[Learned]) -> Tensor:
    rows = [pack_rollouts([item], 0) for item in learned]
    longest = max(row.ids.shape[1] for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    mask, advantages, sampled = torch.zeros(ids.shape, dtype=torch.bool), torch.zeros(ids.shape), torch.zeros(ids.shape)
    for number, row in enumerate(rows):
        assert row.advantages is not None and row.logprobs is not None
        length = row.ids.shape[1]
        ids[number, :length], mask[number, :length] = row.ids[0], row.loss_mask[0]
        advantages[number, :length], sampled[number, :length] = row.advantages[0], row.logprobs[0]
    everything = model(ids[:, :-1]).float().log_softmax(-1)
    ratio = (everything.gather(-1, ids[:, 1:, None]).squeeze(-1) - sampled[:, 1:]).exp()
    gain = torch.minimum(ratio * advantages[:, 1:], ratio.clamp(0.8, 1.28) * advantages[:, 1:])
    with torch.no_grad():
        (everything.exp() * everything).sum(-1)  # the entropy, which both measure
    return -(gain * mask[:, 1:]).sum() / mask.sum()


def packed(model: Transformer, learned: list[Learned]) -> Tensor:
    loss = PolicyGradient(0.2, 0.28)(model, pack_rollouts(learned, 0), {})
    return loss.sum / loss.count


def measure(way: str, vocab: int, rollouts: int, tokens: int) -> dict[str, float]:
    model, learned = make_model(vocab), make_rollouts(rollouts, tokens, vocab)
    before, begun = peak(), time.process_time()
    loss = {"padded": padded, "packed": packed}[way](model, learned)
    loss.backward()
    return {"loss": loss.item(), "peak MiB": peak() - before, "CPU seconds": time.process_time() - begun}


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("vocab", 151_936), ("rollouts", 16), ("tokens", 128)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--way", choices=WAYS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measure(given.way, given.vocab, given.rollouts, given.tokens)))
        return
    for way in WAYS:
        command = [sys.executable, __file__, "--way", way, *sys.argv[1:]]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(way, {name: round(value, 4 if name == "loss" else 1) for name, value in figures.items()}, flush=True)


if __name__ == "__main__":
    main()
