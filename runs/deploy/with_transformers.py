"""transformers, in Sansi's own environment: every folder that it opens on the CPU, by `generate`.

Installed: with `pip install "sansi[test]"`; compressed-tensors is a package of its own, and FP8 wants accelerate.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from runtime import QUESTIONS, Runtime, Seen, compared, exported, main, models, sansi_answers
from sansi.text import Codec

RUNTIME = Runtime("transformers", "5.23.0", programs=("python3",))
FORMATS = (("hf", "fp32"), ("fp8", None), ("compressed-tensors", "int8"), ("compressed-tensors", "fp8"))


def generated(folder: Path) -> list[str]:
    """As `runtime.answers` has them."""
    import torch
    from transformers import AutoModelForCausalLM

    codec = Codec.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    for question in QUESTIONS:
        for thinking in (True, False):
            prompt = codec.render([{"role": "user", "content": question}], enable_thinking=thinking)
            ids = torch.tensor([prompt.ids])
            out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=96, do_sample=False)
            message = codec.parse(prompt, out[0, ids.shape[1] :].tolist())
            found.append(f"{(message.reasoning_content or '').strip()}|{message.content.strip()}")
    return found


def tried() -> Iterator[Seen]:
    dense, experts = models()
    for model, to, kind in ((experts, "hf", "fp32"), *((dense, to, kind) for to, kind in FORMATS)):
        folder = exported(model, to, kind)
        same = compared(sansi_answers(folder), generated(folder))
        yield Seen(f"{model.name}, `--to {to}`{f' {kind}' if kind else ''}", *same)


if __name__ == "__main__":
    if importlib.util.find_spec("transformers") is None:
        print("transformers: not run here (not installed)")
    else:
        sys.exit(main(RUNTIME, tried))
