"""Where Triton's kernels are tested: on a CUDA device where there is one, else in Triton's interpreter on the CPU.

And a model and steps for them, as small as can be: what is interpreted takes a millisecond per program.
"""

from __future__ import annotations

import importlib.util

import pytest
import torch
from sansi.engine.batch import Batch
from sansi.model import ModelConfig, Transformer
from sansi.model.kernels.gpu import interpret

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is for Linux", allow_module_level=True)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu":
    interpret()


def tiny(seed: int = 0, **overrides) -> Transformer:
    """One layer with weights large enough that every part of the forward matters."""
    shape = {
        "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "head_dim": 16,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512,
    }  # fmt: skip
    model = Transformer(ModelConfig.preset("nano", **{**shape, **overrides}))
    model.init_weights(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.copy_(1 + 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
            else:
                parameter.mul_(4)
    return model.to(DEVICE)


def batch_of(tokens: list[list[int]], known: list[int], rows: list[int]) -> Batch:
    """Sequence n goes on with tokens[n] after its known[n]; it has blocks 2n and 2n + 1."""
    new = [len(t) for t in tokens]
    positions = [k + i for k, count in zip(known, new, strict=True) for i in range(count)]
    starts = [sum(new[:n]) for n in range(len(new) + 1)]
    context = [k + count for k, count in zip(known, new, strict=True)]
    tables = [[2 * n, 2 * n + 1] for n in range(len(new))]
    flat = [id_ for each in tokens for id_ in each]
    return Batch(*(torch.tensor(v, dtype=torch.int32) for v in (flat, positions, starts, context, tables, rows)))
