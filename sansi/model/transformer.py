"""The Qwen3 decoder (technical report, arXiv:2505.09388, section 2), dense and mixture-of-experts in one.

Pre-norm; grouped-query attention with RMSNorm on each head of q and k before RoPE; SwiGLU; no biases. Two switches of
the configuration make its dense neighbours of it: no norm of q and k (Llama 3, arXiv:2407.21783), and biases of q, k
and v beside that (Qwen2, arXiv:2407.10671). Parameters have their Hugging Face names. Letters of shapes:

    B batch   T new tokens   S tokens attended to (T and those in the cache)   V vocabulary   C hidden_size
    H query heads   K key/value heads   D head_dim   E experts   A experts per token   N = B * T tokens   F expert width
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sansi.base.config import as_config
from sansi.base.errors import SansiError
from sansi.model.attention import Documents, attend_documents
from sansi.model.config import ModelConfig
from sansi.model.inputs import check_inputs, check_mask_length, look_up
from sansi.model.roles import Role
from sansi.model.rope import apply_rope, rope_table

M = TypeVar("M")
Attending = Documents | Tensor | None
"""What a token may attend to besides being causal; see `Transformer.forward`."""


class KVCache(Protocol):
    """What the forward asks of a cache; the engine owns the implementation."""

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new k and v [B, K, T, D] of a layer; return all of that layer's, [B, K, S, D] each."""
        ...


@dataclass(frozen=True)
class Features:
    """The forward before the LM head, with what the load-balancing loss needs."""

    hidden: Tensor
    """[B, T, C], after the last norm."""
    router_logits: tuple[Tensor, ...]
    """One [B, T, E] per sparse layer, in order; empty for a dense model."""


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension (Zhang & Sennrich 2019, arXiv:1910.07467)."""

    role: Role = "norm"

    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.weight.dtype)  # under autocast a product comes in half precision, and the weight is not
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Linear(nn.Module):
    """x @ weight.T + bias, if there is one. Initialisation is `Transformer.init_weights`'s work alone."""

    def __init__(self, in_features: int, out_features: int, role: Role = "matrix", bias: bool = False):
        super().__init__()
        self.role = role
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Embedding(nn.Module):
    """Rows of `weight` [V, C] by id."""

    role: Role = "embedding"

    def __init__(self, rows: int, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, size))

    def forward(self, ids: Tensor) -> Tensor:
        return look_up("ids", ids, self.weight)[0]


class Attention(nn.Module):
    """Causal grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245), with QK-Norm unless switched off."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.layer, self.head_dim = layer, config.head_dim
        self.groups = config.num_attention_heads // config.num_key_value_heads  # query heads per key/value head
        query_size, key_size = (n * config.head_dim for n in (config.num_attention_heads, config.num_key_value_heads))
        self.q_proj = Linear(config.hidden_size, query_size, bias=config.attention_bias)
        self.k_proj = Linear(config.hidden_size, key_size, bias=config.attention_bias)
        self.v_proj = Linear(config.hidden_size, key_size, bias=config.attention_bias)
        self.o_proj = Linear(query_size, config.hidden_size)
        self.q_norm = RMSNorm(config.head_dim, config.rms_norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(config.head_dim, config.rms_norm_eps) if config.qk_norm else nn.Identity()

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, attention: Attending = None, cache: KVCache | None = None
    ) -> Tensor:
        batch, new, _ = x.shape
        # [B, T, H*D] -> [B, T, H, D]: the norm is over one head
        q = self.q_norm(self.q_proj(x).view(batch, new, -1, self.head_dim))
        k = self.k_norm(self.k_proj(x).view(batch, new, -1, self.head_dim))
        v = self.v_proj(x).view(batch, new, -1, self.head_dim)
        # -> [B, H, T, D]: attention is a batch of matrices, one per head
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
        if cache is not None:
            k, v = cache.update(self.layer, k, v)  # [B, K, S, D]
        y = attend(q, k, v, attention)
        # [B, H, T, D] -> [B, T, H*D]: the heads of a token side by side again
        return self.o_proj(y.transpose(1, 2).reshape(batch, new, -1))


def attend(q: Tensor, k: Tensor, v: Tensor, attention: Attending) -> Tensor:
    """Scaled dot-product attention of q [B, H, T, D] over k, v [B, K, S, D] -> [B, H, T, D].

    `attention`: None: causal, the last new token being the last of S; Documents: causal within each; a boolean
    [B, 1, T, S] (True: may attend).
    """
    if isinstance(attention, Documents):
        return attend_documents(q, k, v, attention)
    batch, heads, new, head_dim = q.shape
    total, groups = k.shape[2], heads // k.shape[1]
    if attention is not None:
        check_mask_length(attention, total)
    if new == 1 and groups > 1:
        # One new token: the query heads of a group become queries of their one key head, and no key is copied.
        folded = F.scaled_dot_product_attention(q.reshape(batch, -1, groups, head_dim), k, v, attention)
        return folded.view(batch, heads, 1, head_dim)
    if attention is None and 1 < new < total:  # SDPA's own causal mask is aligned to the first key, not the last
        attention = torch.ones(new, total, dtype=torch.bool, device=q.device).tril(total - new)
    causal = attention is None and new > 1
    return F.scaled_dot_product_attention(q, k, v, attention, is_causal=causal, enable_gqa=groups > 1)


class MLP(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = Linear(config.hidden_size, config.intermediate_size)
        self.up_proj = Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Experts(nn.Module):
    """The SwiGLUs of a sparse layer, stacked, so that one grouped product runs them all."""

    role: Role = "expert"

    def __init__(self, config: ModelConfig):
        super().__init__()
        experts, hidden, width = config.num_experts, config.hidden_size, config.moe_intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * width, hidden))  # gate rows, then up rows
        self.down_proj = nn.Parameter(torch.empty(experts, hidden, width))

    def forward(self, x_NC: Tensor, weights_NA: Tensor, chosen_NA: Tensor) -> Tensor:
        tokens, active = chosen_NA.shape
        order = chosen_NA.flatten().argsort(stable=True)  # visits sorted by expert, [N*A]
        counts_E = F.one_hot(chosen_NA.flatten(), self.down_proj.shape[0]).sum(0)
        gate, up = grouped_linear(x_NC[order // active], self.gate_up_proj, counts_E).chunk(2, dim=-1)
        visits = grouped_linear(F.silu(gate) * up, self.down_proj, counts_E)  # [N*A, C]
        # Undo the sort and sum the visits of a token in a fixed order: the same result on every run.
        y_NAC = visits[order.argsort()].view(tokens, active, -1)
        return (y_NAC * weights_NA[..., None]).sum(1)


def grouped_linear(x: Tensor, weight_EOI: Tensor, counts_E: Tensor) -> Tensor:
    """The next counts[e] rows of x times weight[e].T, for one expert e after the other; counts sum to the rows of x."""
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight_EOI = x.to(dtype), weight_EOI.to(dtype)
    if x.is_cuda and x.dtype == torch.bfloat16:  # one kernel, and the host never waits for the counts
        return F.grouped_mm(x, weight_EOI.transpose(-2, -1), offs=counts_E.cumsum(0).to(torch.int32))
    parts = x.split(counts_E.tolist())
    return torch.cat([F.linear(part, weight) for part, weight in zip(parts, weight_EOI, strict=True)])


class SparseMLP(nn.Module):
    """Mixture of experts: a softmax router sends each token to its top experts. No shared expert.

    The router's product is in the dtype of its weight, whatever autocast says: float32 in training, which has float32
    master weights, since a router that rounds sends tokens to other experts from step to step (Fedus et al. 2021,
    arXiv:2101.03961, section 2.4); that of the folder in inference, as in transformers.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.active, self.normalise = config.num_experts_per_tok, config.norm_topk_prob
        self.gate = Linear(config.hidden_size, config.num_experts, role="router")
        self.experts = Experts(config)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, C] -> the output [B, T, C] and the router's logits [B, T, E]."""
        with torch.autocast(x.device.type, enabled=False):
            logits = self.gate(x.to(self.gate.weight.dtype))
        # Softmax over all experts in float32, then the choice: unchosen experts still shape the weights.
        weights, chosen = logits.float().softmax(-1).topk(self.active, dim=-1)
        if self.normalise:
            weights = weights / weights.sum(-1, keepdim=True)
        weights_NA, chosen_NA = weights.to(x.dtype).flatten(0, 1), chosen.flatten(0, 1)
        return self.experts(x.flatten(0, 1), weights_NA, chosen_NA).view_as(x), logits


class DecoderLayer(nn.Module):
    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.is_sparse = config.is_sparse(layer)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = SparseMLP(config) if self.is_sparse else MLP(config)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, attention: Attending = None, cache: KVCache | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """x [B, T, C] -> the next x and, from a sparse layer, the router's logits [B, T, E]."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, attention, cache)
        y = self.mlp(self.post_attention_layernorm(x))
        y, router_logits = y if self.is_sparse else (y, None)
        return x + y, router_logits


def uncompiled(model: M) -> M:
    """The model itself, where torch.compile has wrapped it; whatever else as it is."""
    return getattr(model, "_orig_mod", model)


def recomputed(layer: nn.Module) -> Callable[..., Any]:
    """The layer, which keeps only its input and runs again in the backward pass. It has nothing random."""

    def run(x: Tensor, *rest: Any) -> Any:
        return checkpoint(lambda x: layer(x, *rest), x, use_reentrant=False, preserve_rng_state=False)

    return run


class Decoder(nn.Module):
    """Everything but the LM head; exists so that parameters are called `model.…`, as in the checkpoints."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Transformer(nn.Module):
    """A causal language model of the Qwen3 design; its weights are those of `init_weights(0)` until others are loaded.

    Raises ConfigError for a configuration that is impossible.
    """

    rope_cos: Tensor  # [context_length, D]
    rope_sin: Tensor

    def __init__(self, config: ModelConfig):
        super().__init__()
        config = as_config(ModelConfig, config, "model configuration")
        self.config = config
        self.gradient_checkpointing = False
        self.model = Decoder(config)
        self.lm_head = (
            None if config.tie_word_embeddings else Linear(config.hidden_size, config.vocab_size, role="head")
        )
        # Not in the checkpoint: they follow from the configuration, so old weights fit a changed RoPE base.
        table_shape = (config.context_length, config.head_dim)
        self.register_buffer("rope_cos", torch.empty(table_shape), persistent=False)
        self.register_buffer("rope_sin", torch.empty(table_shape), persistent=False)
        if self.rope_cos.device.type != "meta":
            self.init_buffers()
            self.init_weights(0)

    def forward(
        self,
        ids: Tensor,
        positions: Tensor | None = None,
        attention: Attending = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Logits [B, T, V] of the token after each of ids [B, T].

        positions [B, T]: default 0…T-1. attention: None for causal; Documents for causal within each of several to a
        row; or boolean [B, 1, T, S], True where token t may attend to s, of which a row without any True gives a
        finite output that means nothing. Raises SansiError for shapes and dtypes that do not fit, for more tokens than
        positions exist and, on the CPU, for ids beyond the vocabulary and positions outside `config.context_length`.
        """
        return F.linear(self.hidden(ids, positions, attention, cache), self.lm_head_weight)

    def hidden(
        self,
        ids: Tensor,
        positions: Tensor | None = None,
        attention: Attending = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """[B, T, C]: the input of the LM head. Arguments as `forward`."""
        return self.features(ids, positions, attention, cache).hidden

    def features(
        self,
        ids: Tensor,
        positions: Tensor | None = None,
        attention: Attending = None,
        cache: KVCache | None = None,
    ) -> Features:
        """The input of the LM head and the logits of every router. Arguments as `forward`."""
        check_inputs(ids, positions, attention, cached=cache is not None)
        if isinstance(attention, Documents) and attention.fill_rows:
            attention = None  # no copies, and nothing for torch.compile to step around
        cos, sin = self._rotation(ids.shape[1], positions)
        x = self.model.embed_tokens(ids)
        cos, sin = cos.to(x.dtype), sin.to(x.dtype)
        recompute = self.gradient_checkpointing and cache is None and torch.is_grad_enabled()
        router_logits = []
        for layer in self.model.layers:
            run = recomputed(layer) if recompute else layer
            x, logits = run(x, cos, sin, attention, cache)
            if logits is not None:
                router_logits.append(logits)
        return Features(self.model.norm(x), tuple(router_logits))

    def gradient_checkpointing_enable(self) -> None:
        """Keep of each layer its input alone, and run the layer again in the backward pass (Chen et al. 2016,
        "Training deep nets with sublinear memory cost"): the same gradients for a third more time."""
        self.gradient_checkpointing = True

    def gradient_checkpointing_disable(self) -> None:
        """Keep what the backward pass needs, as usual."""
        self.gradient_checkpointing = False

    @property
    def lm_head_weight(self) -> Tensor:
        """[V, C]; the embedding table itself when the two are tied."""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def _rotation(self, new: int, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """cos and sin of the positions, shaped to broadcast over [B, H, T, D]."""
        if positions is not None:
            cos, sin = look_up("positions", positions, self.rope_cos, self.rope_sin)
            return cos.unsqueeze(1), sin.unsqueeze(1)  # [B, 1, T, D]
        if new > self.config.context_length:
            raise SansiError(
                f"{new} tokens are more than the model's context of {self.config.context_length}; shorten the input, "
                'or build the model with a larger "max_position_embeddings" or with YaRN'
            )
        return self.rope_cos[:new], self.rope_sin[:new]  # [T, D]

    def to_empty(self, *, device: str | torch.device | int | None, recurse: bool = True) -> Self:
        """As of torch, but for the RoPE table, which no checkpoint holds: it is filled."""
        super().to_empty(device=device, recurse=recurse)
        if self.rope_cos.device.type != "meta":
            self.init_buffers()
        return self

    @torch.no_grad()
    def init_buffers(self) -> None:
        """Fill the RoPE table."""
        table = rope_table(self.config)
        self.rope_cos.copy_(table.cos)
        self.rope_sin.copy_(table.sin)

    def set_positions(self, config: ModelConfig) -> None:
        """Take positions (RoPE base, YaRN, context) from `config`, which is otherwise the model's own."""
        unlike = config.differences(self.config)
        assert all(line.startswith(("rope_", "max_position_embeddings")) for line in unlike), unlike
        self.config, shape = config, (config.context_length, config.head_dim)
        self.rope_cos, self.rope_sin = self.rope_cos.new_empty(shape), self.rope_sin.new_empty(shape)
        self.init_buffers()

    @torch.no_grad()
    def init_weights(self, seed: int) -> None:
        """Fresh weights, the same for the same seed on every device; the global random state is left alone.

        Normal with `initializer_range`; the two projections that write into the residual stream are smaller by
        sqrt(2 * layers), so that its variance does not grow with depth (GPT-2, section 2.3); norms are 1, biases 0.
        """
        generator = torch.Generator("cpu").manual_seed(seed)
        std = self.config.initializer_range
        residual_std = std / math.sqrt(2 * self.config.num_hidden_layers)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(0.0 if name.endswith(".bias") else 1.0)
                continue
            writes_residual = name.endswith(("o_proj.weight", "down_proj.weight", "down_proj"))
            for part in _matrices(parameter):
                fresh = torch.empty(part.shape, dtype=torch.float32, device="cpu")
                part.copy_(fresh.normal_(0.0, residual_std if writes_residual else std, generator=generator))


def _matrices(parameter: Tensor) -> Iterator[Tensor]:
    """The matrix itself, or the experts one by one, so that no second copy of a whole stack is ever held."""
    yield from parameter if parameter.dim() == 3 else [parameter]
