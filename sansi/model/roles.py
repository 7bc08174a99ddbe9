"""What a parameter does, which decides how it is optimised: said by the module that holds it, never guessed from names.

A module says it once, in `role`, for the parameters that are its own. It is the module that carries the role because
parameters are replaced (by `to_empty`, by copies, by sharding), while modules stay.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from torch import nn

from sansi.base.errors import SansiError

Role = Literal["matrix", "embedding", "head", "norm", "router", "expert", "adapter"]
"""matrix: [out, in] of a layer. embedding: [V, C], also where it is the head too. head: an LM head of its own.
norm: a vector that scales or shifts. router: [E, C]. expert: a stack of matrices [E, out, in]. adapter: of LoRA."""


def parameter_roles(model: nn.Module) -> dict[str, Role]:
    """The role of each of `model.named_parameters()`, by its name; a parameter in two places has the first one's.

    Raises SansiError for a parameter whose module has no `role`, or one that is none.
    """
    found: dict[str, Role] = {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix, recurse=False):
            role = _role_of(module, name)
            found[name] = "norm" if role == "matrix" and parameter.dim() == 1 else role  # the bias beside a matrix
    return {name: found[name] for name, _ in model.named_parameters()}


def _role_of(module: nn.Module, name: str) -> Role:
    role = getattr(module, "role", None)
    if role not in get_args(Role):
        raise SansiError(
            f'the parameter "{name}" has the role {role!r}; set `role` of its {type(module).__name__} to one of: '
            + ", ".join(get_args(Role)),
            param="role",
        )
    return cast(Role, role)
