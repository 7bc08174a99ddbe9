"""Optimisers: Muon for the matrices of the layers, AdamW for everything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sansi.base import SansiError
from sansi.model import parameter_roles
from sansi.train.guard import check_finite

OptimizerKind = Literal["adamw", "muon"]
MUON_ROLES = ("matrix", "expert")
"""What Muon moves: matrices inside the layers, alone or in stacks. A router's rows are one expert each, and an
adapter's factors are no whole matrices, so both are AdamW's."""


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """About the nearest semi-orthogonal matrices of a stack [..., rows, columns], by a quintic Newton-Schulz iteration.

    Singular values land in about [0.7, 1.2], which is all that Muon needs (Jordan et al. 2024, "Muon: An optimizer
    for hidden layers in neural networks"); those below some thousandths of the Frobenius norm stay smaller.
    Works in the dtype given: on CPUs without fast bfloat16, float32 is faster.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.size(-2) > matrices.size(-1)
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised; parameters of one shape are handled in one batched product.

    A parameter is a matrix [rows, columns], or a stack [n, rows, columns] of them, such as the experts of a layer.

    The update is scaled by 0.2 sqrt(max(rows, columns)), so that it has about the root mean square of an AdamW update
    and both optimisers share one learning rate (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2).
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | list[dict[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameters in _by_shape(group["params"]):
                self._step_shape(parameters, group["lr"], group["momentum"], group["weight_decay"])

    def _step_shape(self, parameters: list[nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        gradients = torch.stack([p.grad for p in parameters])  # type: ignore[misc]
        buffers = [self.state[p].setdefault("momentum_buffer", torch.zeros_like(p)) for p in parameters]
        torch._foreach_lerp_(buffers, list(gradients.unbind()), 1 - momentum)
        nesterov = gradients.lerp_(torch.stack(buffers), momentum)
        update = orthogonalize(nesterov)
        scale = 0.2 * max(parameters[0].shape[-2:]) ** 0.5
        values: list[Tensor] = list(parameters)
        torch._foreach_mul_(values, 1 - lr * weight_decay)
        torch._foreach_add_(values, list(update.unbind()), alpha=-lr * scale)


def _by_shape(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    shapes: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
    for parameter in parameters:
        if parameter.grad is not None:
            shapes[parameter.shape].append(parameter)
    return list(shapes.values())


class Optimizer:
    """All optimisers of a model behind one learning rate: `step(factor)` scales every group's peak rate.

    What a parameter is (`parameter_roles`) says who moves it: Muon takes matrices and experts if it is asked for, AdamW
    the rest; all decay but the vectors of norms. A frozen parameter (`requires_grad` False) is left alone. State is
    saved by name. Raises SansiError for an unknown kind, and for a model without a parameter to train.
    """

    def __init__(
        self,
        model: nn.Module,
        kind: OptimizerKind,
        learning_rate: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.98),
        epsilon: float = 1e-8,
        momentum: float = 0.95,
    ):
        if kind not in ("adamw", "muon"):
            raise SansiError(f'unknown optimizer "{kind}"; known: adamw, muon', param="optimizer")
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not self.parameters:
            raise SansiError(
                "the model has no parameter to train: all are frozen (requires_grad is False); unfreeze some",
                param="model",
            )
        roles = parameter_roles(model)
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = defaultdict(list)
        for name, parameter in self.parameters.items():
            groups[kind == "muon" and roles[name] in MUON_ROLES, roles[name] != "norm"].append(parameter)
        decays = [(group, muon, weight_decay if decay else 0.0) for (muon, decay), group in groups.items()]
        by_muon, by_adamw = (
            [{"params": group, "weight_decay": decay} for group, muon, decay in decays if muon is which]
            for which in (True, False)
        )
        self.parts: list[torch.optim.Optimizer] = []
        if by_adamw:
            self.parts.append(torch.optim.AdamW(by_adamw, lr=learning_rate, betas=betas, eps=epsilon, fused=True))
        if by_muon:
            self.parts.append(Muon(by_muon, lr=learning_rate, momentum=momentum))
        self.learning_rate = learning_rate

    def step(self, factor: float) -> None:
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.learning_rate * factor
            part.step()
        self.zero_grad()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state as named tensors, to be saved without pickle."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.parameters.items()}
        return {
            f"{names[parameter]}|{key}": value
            for part in self.parts
            for parameter, state in part.state.items()
            for key, value in state.items()
        }

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` returned. Raises SansiError when it comes from another model or kind of optimiser."""
        owners = {p: part for part in self.parts for group in part.param_groups for p in group["params"]}
        for full_name, value in tensors.items():
            name, key = full_name.rsplit("|", 1)
            parameter = self.parameters.get(name)
            keys = () if parameter is None else _state_keys(owners[parameter])
            if parameter is None or key not in keys or value.shape not in (parameter.shape, torch.Size([])):
                raise SansiError(
                    f'the saved optimiser state "{full_name}" does not belong to this run; resume with the model and '
                    "the optimizer that the run began with"
                )
            missing = [other for other in keys if f"{name}|{other}" not in tensors]
            if missing:
                raise SansiError(f'the saved optimiser state lacks "{name}|{missing[0]}"; go on at an older checkpoint')
            owners[parameter].state[parameter][key] = value.to(parameter.device, copy=True)


def clip_gradients(model: nn.Module, max_norm: float, step: int) -> float:
    """Scale the gradients down to `max_norm`; returns their norm before. Raises SansiError when it is not finite."""
    norm = clip_to(model, max_norm)
    check_finite(step, 0.0, norm)
    return norm


def clip_to(model: nn.Module, max_norm: float) -> float:
    """Scale the gradients down to `max_norm`; returns their norm before, which may be infinite or NaN."""
    return nn.utils.clip_grad_norm_(model.parameters(), max_norm).item()


def _state_keys(part: torch.optim.Optimizer) -> tuple[str, ...]:
    return ("momentum_buffer",) if isinstance(part, Muon) else ("step", "exp_avg", "exp_avg_sq")
