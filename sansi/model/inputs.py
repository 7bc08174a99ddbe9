"""What a forward may be given, checked where it costs nothing: by shapes and dtypes, and by the look-ups themselves.

Values are looked at on the CPU alone, where a look-up out of range is an error; a GPU would have to be waited for.
Letters of shapes as in `transformer.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.model.attention import Documents


def check_inputs(ids: Tensor, positions: Tensor | None, attention: Documents | Tensor | None, cached: bool) -> None:
    """Raises SansiError for ids, positions or an attention of the wrong shape or dtype."""
    _check_whole_numbers("ids", ids)
    if ids.dim() != 2:
        advice = "; ids[None] is a batch of one" if ids.dim() == 1 else ""
        raise SansiError(f'"ids" are {list(ids.shape)}; the model reads a batch of rows [B, T]{advice}', param="ids")
    if positions is not None:
        _check_whole_numbers("positions", positions)
        if positions.dim() != 2 or positions.shape[1] != ids.shape[1] or positions.shape[0] not in (1, ids.shape[0]):
            raise SansiError(
                f'"positions" are {list(positions.shape)}, the ids {list(ids.shape)}; give one position to each id '
                "([B, T]), or one row for all ([1, T])",
                param="positions",
            )
    if isinstance(attention, Documents):
        _check_documents(attention, ids, cached)
    elif attention is not None:
        _check_mask(attention, ids)


def _check_whole_numbers(name: str, values: Tensor) -> None:
    if not isinstance(values, Tensor):
        raise SansiError(f'"{name}" are a {type(values).__name__}; give a torch.Tensor of int64', param=name)
    if values.dtype not in (torch.int64, torch.int32):
        raise SansiError(f'"{name}" are {values.dtype}; give int64, e.g. {name}.long()', param=name)


def _check_documents(documents: Documents, ids: Tensor, cached: bool) -> None:
    if (documents.rows, documents.row_length) != tuple(ids.shape):
        raise SansiError(
            f"the documents fill rows of [{documents.rows}, {documents.row_length}] tokens, the ids are "
            f"{list(ids.shape)}; of a batch of T + 1 tokens the model reads T: documents.inputs()",
            param="attention",
        )
    if cached:
        raise SansiError("documents and a cache do not go together; give one row to each sequence", param="attention")


def _check_mask(mask: Tensor, ids: Tensor) -> None:
    if not isinstance(mask, Tensor):
        raise SansiError(
            f'"attention" is a {type(mask).__name__}; give None, Documents or a boolean tensor [B, 1, T, S]',
            param="attention",
        )
    rows, new = ids.shape
    if mask.dim() != 4 or mask.shape[0] not in (1, rows) or mask.shape[1] != 1 or mask.shape[2] != new:
        raise SansiError(
            f'"attention" is {list(mask.shape)}, the ids {list(ids.shape)}; give booleans [B, 1, T, S], True where '
            "token t may attend to s. A padding mask [B, T] is not read: padding on the right needs none, as attention "
            "is causal; else combine it: causal & padding[:, None, None, :]",
            param="attention",
        )
    if mask.dtype != torch.bool and not mask.is_floating_point():
        raise SansiError(f'"attention" is {mask.dtype}; give booleans: attention.bool()', param="attention")
    # The engine adds its mask to the scores: 0 and -inf. Zeros and ones in float32 are booleans of somebody else.
    prefill_on_cpu = new > 1 and mask.device.type == "cpu" and not torch.compiler.is_compiling()
    if mask.dtype != torch.bool and prefill_on_cpu and mask.numel() and float(mask.max()) > 0:
        raise SansiError(
            f'"attention" is {mask.dtype} with values above 0, which would be added to the scores; give booleans: '
            "attention.bool()",
            param="attention",
        )


def check_mask_length(mask: Tensor, total: int) -> None:
    """Raises SansiError unless the mask [B, 1, T, S] tells of all the tokens that there are to attend to."""
    if mask.shape[-1] != total:
        raise SansiError(
            f'"attention" is {list(mask.shape)}, but there are {total} tokens to attend to, the cache included',
            param="attention",
        )


def look_up(name: str, values: Tensor, *tables: Tensor) -> list[Tensor]:
    """Rows of each table [R, …] by values [B, T]. On the CPU raises SansiError for a value below 0 or above R - 1."""
    if torch.compiler.is_compiling():
        return [F.embedding(values, table) for table in tables]
    try:
        return [F.embedding(values, table) for table in tables]
    except IndexError as error:
        size, lowest, highest = tables[0].shape[0], int(values.min()), int(values.max())
        advice = {
            "ids": "they are of another tokenizer, or mark padding that is not a token",
            "positions": "the context ends there; a larger max_position_embeddings or YaRN makes it longer",
        }
        raise SansiError(
            f'"{name}" has {lowest}; they count from 0'
            if lowest < 0
            else f'"{name}" has {highest}, but the model knows 0 to {size - 1}; {advice[name]}',
            param=name,
        ) from error
