"""Launch lines for other servers, for the version that is stated with each: flags come and go.

Each flag is one that the version's own source accepts; `tests/deploy/flags/` has the lists.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sansi.base.errors import SansiError, did_you_mean
from sansi.deploy.packages.facts import ModelFacts


@dataclass(frozen=True)
class Launch:
    """How a runtime serves a model."""

    runtime: str
    version: str
    """That the flags were checked against."""
    command: tuple[str, ...]
    environment: Mapping[str, str]
    notes: tuple[str, ...]
    """What a user of this version has to know."""

    def __str__(self) -> str:
        """Lines for a shell."""
        lines = [f"# {self.runtime} {self.version}", *(f"# {note}" for note in self.notes)]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return "\n".join([*lines, _folded(self.command)]) + "\n"


def _folded(command: tuple[str, ...]) -> str:
    """A flag to a line."""
    lines, words = [], [command[0]]
    for word in command[1:]:
        if word.startswith("--"):
            lines.append(" ".join(words))
            words = []
        words.append(shlex.quote(word))
    lines.append(" ".join(words))
    return " \\\n  ".join(lines)


def _vllm(m: ModelFacts) -> Launch:
    words = ["vllm", "serve", m.path, "--served-model-name", m.name, "--max-model-len", str(m.context_length)]
    words += ["--reasoning-parser", "qwen3", "--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    words += ["--exclude-tools-when-tool-choice-none"]
    words += _parallel(m, "--tensor-parallel-size", ["--enable-expert-parallel"])
    if factor := m.yarn_factor:
        words += ["--hf-overrides", json.dumps({"rope_parameters": _yarn(m, factor)})]
    if m.adapters:
        words += ["--enable-lora", "--max-lora-rank", str(m.adapter_rank), "--lora-modules"]
        words += [f"{name}={folder}" for name, folder in m.adapters.items()]
    notes = [
        'thoughts come as `reasoning`; per request: chat_template_kwargs {"enable_thinking": false}',
        "a budget is the field `thinking_token_budget` of a request",
    ]
    return Launch("vllm", "0.32.0", tuple(words), {}, (*notes, *_quantised_notes(m)))


def _sglang(m: ModelFacts) -> Launch:
    words = _sglang_words(m)
    words += _parallel(m, "--tp-size", ["--ep-size", str(m.tensor_parallel)])
    if m.adapters:
        words += ["--enable-lora", "--lora-paths", *(f"{name}={folder}" for name, folder in m.adapters.items())]
    notes = ('per request: chat_template_kwargs {"enable_thinking": false}', "thoughts come as `reasoning_content`")
    return Launch("sglang", "0.5.23", tuple(words), {}, (*notes, *_quantised_notes(m)))


def _sglang_words(m: ModelFacts) -> list[str]:
    words = ["python", "-m", "sglang.launch_server", "--model-path", m.path, "--served-model-name", m.name]
    words += ["--context-length", str(m.context_length), "--reasoning-parser", "qwen3", "--tool-call-parser", "qwen"]
    words += ["--enable-strict-thinking"]
    if factor := m.yarn_factor:
        words += ["--json-model-override-args", json.dumps({"rope_scaling": _yarn(m, factor)})]
    return words


KT_METHODS = {"fp8": "FP8", "gptq": "GPTQ_INT4", None: "BF16"}


def _ktransformers(m: ModelFacts) -> Launch:
    """Experts on the CPU, the rest on a GPU: kt-kernel behind SGLang."""
    if not m.config.is_moe:
        raise SansiError(
            f"{m.name} has no experts, and KTransformers is for models that have; take vllm or llama-server"
        )
    if m.quantisation not in KT_METHODS:
        known = "full weights, FP8 and GPTQ-Int4"
        raise SansiError(f"{m.name} is quantised ({m.quantisation}), and KTransformers opens {known}")
    words = _sglang_words(m)
    words += ["--kt-weight-path", m.path, "--kt-method", KT_METHODS[m.quantisation], "--kt-cpuinfer", "32"]
    words += ["--kt-threadpool-count", "1", "--kt-num-gpu-experts", "16", "--mem-fraction-static", "0.9"]
    notes = ("--kt-cpuinfer: physical cores; --kt-threadpool-count: NUMA nodes; more GPU experts where memory allows",)
    return Launch("ktransformers", "0.7.2 (SGLang 0.5.23)", tuple(words), {}, notes)


def _llama_server(m: ModelFacts) -> Launch:
    if not m.path.lower().endswith(".gguf"):
        first = f"sansi export {m.path} --to gguf"
        raise SansiError(f"llama-server opens GGUF files, and {m.path} is none; {first}, and then that file")
    words = ["llama-server", "--model", m.path, "--alias", m.name, "--ctx-size", str(m.context_length), "--jinja"]
    words += ["--reasoning-format", "deepseek"]
    if factor := m.yarn_factor:
        words += ["--rope-scaling", "yarn", "--rope-scale", f"{factor:g}", "--yarn-orig-ctx", str(m.original_context)]
    for folder in m.adapters.values():
        words += ["--lora", folder]
    notes = (
        'no thoughts: --reasoning-budget 0, or per request chat_template_kwargs {"enable_thinking": false}',
        "adapters are GGUF files; thoughts come as `reasoning_content`",
    )
    return Launch("llama-server", "b11434", tuple(words), {}, notes)


def _mlx(m: ModelFacts) -> Launch:
    if m.quantisation not in (None, "mlx"):
        told = f"{m.name} is quantised ({m.quantisation}), which mlx-lm 0.32 misreads or refuses"
        raise SansiError(f"{told}: export the full model with --to mlx")
    words = ["mlx_lm.server", "--model", m.path]
    words += [word for folder in list(m.adapters.values())[:1] for word in ("--adapter-path", folder)]
    notes = (
        'thoughts come as `reasoning`; per request: chat_template_kwargs {"enable_thinking": false}',
        'requests name the model "default_model", or by its whole path: any other name is looked up on a hub',
        "/v1/models fails until ~/.cache/huggingface/hub is there",
    )
    return Launch("mlx", "0.32.2 (mlx-lm)", tuple(words), {}, notes)


def _open_webui(m: ModelFacts) -> Launch:
    environment = {
        "OPENAI_API_BASE_URL": "http://127.0.0.1:8000/v1",
        "OPENAI_API_KEY": "none",
        "ENABLE_OLLAMA_API": "false",
    }
    notes = (f"in front of any of these servers, or `sansi serve {m.path}`; it shows thoughts folded",)
    return Launch("openwebui", "0.6", ("open-webui", "serve", "--port", "3000"), environment, notes)


def _parallel(m: ModelFacts, flag: str, experts: list[str]) -> list[str]:
    words = [flag, str(m.tensor_parallel)] if m.tensor_parallel > 1 else []
    return words + (experts if m.expert_parallel and m.config.is_moe else [])


def _yarn(m: ModelFacts, factor: float) -> dict[str, object]:
    scaling = {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": m.original_context}
    return {**scaling, "rope_theta": m.config.rope_theta}


def _quantised_notes(m: ModelFacts) -> tuple[str, ...]:
    if m.quantisation == "gguf":
        told = f"{m.name} is a GGUF file, which this server does not open, or slowly"
        raise SansiError(f"{told}; take --to llama-server, or export the full model, e.g. --to awq or fp8")
    if m.quantisation == "fp8":
        return ("FP8 units from Ada and Hopper on; on Ampere weights are widened as they are read (W8A16)",)
    if m.quantisation == "sansi":
        raise SansiError(f"{m.name} is quantised by Sansi and for Sansi; export the full model, e.g. --to awq or fp8")
    return ()


RUNTIMES: Mapping[str, Callable[[ModelFacts], Launch]] = MappingProxyType(
    {
        "vllm": _vllm,
        "sglang": _sglang,
        "llama-server": _llama_server,
        "mlx-server": _mlx,
        "ktransformers": _ktransformers,
        "openwebui": _open_webui,
    }
)


def launch_for(runtime: str, model: ModelFacts) -> Launch:
    """How `runtime` serves the model. Raises SansiError for a runtime that is unknown, or can not open it."""
    if runtime not in RUNTIMES:
        raise SansiError(f'unknown runtime "{runtime}"{did_you_mean(runtime, RUNTIMES)}', param="to")
    return RUNTIMES[runtime](model)
