"""Adapters made by PEFT itself, with every factor random, and what its own forward makes of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from sansi.model import ModelConfig, Transformer, save
from torch import Tensor

DENSE = ModelConfig.preset("nano", vocab_size=96, hidden_size=32, intermediate_size=64, num_hidden_layers=2)
SPARSE = DENSE.replace(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24, tie_word_embeddings=False)
IDS = torch.arange(40).view(2, 20) % 96


@dataclass(frozen=True)
class Made:
    """An adapter that PEFT wrote."""

    base: Path
    folder: Path
    logits: Tensor
    """[2, 20, V] of IDS, by PEFT, unmerged."""


@cache
def base_model(sparse: bool) -> Transformer:
    torch.manual_seed(1)
    model = Transformer(SPARSE if sparse else DENSE)
    for parameter in model.parameters():  # larger than fresh ones, so that differences show
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model.eval()


def save_base(folder: Path, sparse: bool) -> Path:
    if not folder.exists():
        save(base_model(sparse), folder)
    return folder


def make(folder: Path, sparse: bool = False, seed: int = 0, **settings: object) -> Made:
    """settings: those of LoraConfig. Needs peft and transformers."""
    import peft
    from transformers import AutoModelForCausalLM

    base = save_base(folder / ("sparse" if sparse else "dense"), sparse)
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.get_peft_model(
            AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), peft.LoraConfig(**settings)
        ).eval()
        for _, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn_like(parameter)
        target = folder / f"adapter-{seed}"
        model.save_pretrained(target)
    with torch.no_grad():
        return Made(base, target, model(IDS).logits)
