"""What the pre-training stages need beyond the loop: the longer context of the third."""

from __future__ import annotations

import copy

from sansi.base import SansiError
from sansi.model import Transformer
from sansi.model.transformer import uncompiled


def extend_context(model: Transformer, rope_theta: float, max_position_embeddings: int) -> Transformer:
    """A copy of the model with a raised RoPE base and a longer context, ready for the long-context stage.

    All else is as it was: weights, their dtype and device, what is frozen, training or evaluation mode.

    Raising the base (ABF: Xiong et al. 2023, "Effective long-context scaling of foundation models", section 4.1) turns
    the slow rotations slower still, so that positions beyond the old context are not wholly new angles.
    Raises SansiError when either value would fall.
    """
    model = uncompiled(model)
    old = model.config
    config = old.replace(rope_theta=rope_theta, max_position_embeddings=max_position_embeddings)
    if rope_theta < old.rope_theta or max_position_embeddings < old.max_position_embeddings:
        raise SansiError(
            f"the long-context stage raises rope_theta ({old.rope_theta} to {rope_theta}) and "
            f"max_position_embeddings ({old.max_position_embeddings} to {max_position_embeddings}); neither may fall"
        )
    longer = copy.deepcopy(model)
    for mine, theirs in zip(longer.parameters(), model.parameters(), strict=True):
        vars(mine).update(vars(theirs))  # what others noted on a parameter, which torch does not copy
    longer.set_positions(config)
    return longer
