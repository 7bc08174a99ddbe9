"""What a forward is given is what it reads, or it is refused in a sentence that says what to give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sansi.base.errors import SansiError
from sansi.model import Documents, Transformer
from sansi.model.transformer import attend
from tiny_models import random_ids, tiny_config, tiny_model
from torch import Tensor

IDS = torch.arange(16).view(4, 4)
CAUSAL = torch.ones(4, 1, 4, 4, dtype=torch.bool).tril()


@pytest.fixture(scope="module")
def model() -> Transformer:
    return tiny_model(tiny_config())


class Cache:
    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return k, v


MASKS: dict[str, Any] = {
    "padding": torch.ones(4, 4, dtype=torch.bool),
    "padding of integers": torch.ones(4, 4, dtype=torch.int64),
    "without heads": CAUSAL[:, 0],
    "of each head": CAUSAL.expand(-1, 4, -1, -1),
    "other rows": CAUSAL[:2],
    "other tokens": CAUSAL[:, :, :3],
    "other keys": CAUSAL[..., :3],
    "one key for all": CAUSAL[..., :1],
    "integers": CAUSAL.long(),
    "zeros and ones": CAUSAL.float(),
    "a list": CAUSAL.tolist(),
    "documents of other rows": Documents.from_lengths([[4], [4]]),
    "documents with the last token": Documents.from_lengths([[5]] * 4),
}


@pytest.mark.parametrize("name", MASKS)
def test_an_attention_of_the_wrong_kind_is_refused(model: Transformer, name: str) -> None:
    with pytest.raises(SansiError) as error:
        model(IDS, attention=MASKS[name])
    assert error.value.param == "attention"


def test_a_padding_mask_is_told_what_to_be(model: Transformer) -> None:
    with pytest.raises(SansiError, match=r"is \[4, 4\].* booleans \[B, 1, T, S\].* padding mask .* is not read"):
        model(IDS, attention=torch.ones(4, 4, dtype=torch.bool))


@torch.no_grad()
@pytest.mark.parametrize("mask", [CAUSAL, CAUSAL[:1], torch.zeros(4, 1, 4, 4).masked_fill(~CAUSAL, -torch.inf)])
def test_masks_of_the_right_kind_are_read(model: Transformer, mask: Tensor) -> None:
    torch.testing.assert_close(model(IDS, attention=mask), model(IDS), atol=1e-5, rtol=0)


def test_a_mask_of_one_new_token_tells_of_all_keys() -> None:
    q, k = torch.ones(1, 4, 1, 8), torch.ones(1, 2, 5, 8)
    with pytest.raises(SansiError, match="5 tokens to attend to"):
        attend(q, k, k, torch.ones(1, 1, 1, 1, dtype=torch.bool))


def test_documents_and_a_cache_do_not_go_together(model: Transformer) -> None:
    with pytest.raises(SansiError, match="do not go together"):
        model(IDS, attention=Documents.from_lengths([[4]] * 4), cache=Cache())


@pytest.mark.parametrize(
    "positions, said",
    [
        (torch.tensor([[-1, 0, 1, 2]]), "has -1; they count from 0"),
        (torch.tensor([[0, 1, 2, 128]]), "has 128, but the model knows 0 to 127"),
        (torch.arange(4), "give one position to each id"),
        (torch.arange(8).view(2, 4), "give one position to each id"),
        (torch.arange(3)[None], "give one position to each id"),
        (torch.arange(4)[None, None], "give one position to each id"),
        (torch.arange(4)[None].float(), r"positions.long\(\)"),
        (torch.ones(1, 4, dtype=torch.bool), r"positions.long\(\)"),
        ([[0, 1, 2, 3]], "are a list"),
    ],
)
def test_positions_that_are_none_are_refused(model: Transformer, positions: Any, said: str) -> None:
    with pytest.raises(SansiError, match=said) as error:
        model(IDS, positions=positions)
    assert error.value.param == "positions"


@torch.no_grad()
def test_one_row_of_positions_is_for_all(model: Transformer) -> None:
    assert torch.equal(model(IDS, torch.arange(4)[None]), model(IDS, torch.arange(4).expand(4, -1)))


@pytest.mark.parametrize(
    "ids, said",
    [
        (torch.tensor([[0, 97]]), "has 97, but the model knows 0 to 96; they are of another tokenizer"),
        (torch.tensor([[0, -100]]), "has -100; they count from 0"),
        (torch.arange(4), r"ids\[None\] is a batch of one"),
        (torch.zeros(1, 2, 3, dtype=torch.int64), r"a batch of rows \[B, T\]"),
        (torch.zeros(1, 4), r"give int64, e.g. ids.long\(\)"),
        (torch.zeros(1, 4, dtype=torch.int16), r"give int64, e.g. ids.long\(\)"),
        ([[1, 2]], "are a list"),
    ],
)
def test_ids_that_are_none_are_refused(model: Transformer, ids: Any, said: str) -> None:
    with pytest.raises(SansiError, match=said) as error:
        model(ids)
    assert error.value.param == "ids"


@torch.no_grad()
def test_ids_of_32_bits_are_read(model: Transformer) -> None:
    ids = random_ids(model.config)
    assert torch.equal(model(ids.int()), model(ids))
