"""What OpenVINO GenAI takes for the runs of bench/formats.py; started by the interpreter of its own environment.

    python bench/peers/openvino_runs.py FILE.gguf THREADS

A line of standard input, "WHAT COUNT SEED" (prefill, or decode by so many sequences), is answered by one of seconds.
Every run has other tokens, since what it has seen it has in its cache of prefixes.
"""

from __future__ import annotations

import sys

import numpy as np
import openvino
import openvino_genai

PROMPT, STEPS = 512, 16


def inputs(count: int, seed: int) -> openvino_genai.TokenizedInputs:
    ids = np.random.default_rng(seed).integers(10, 1000, (count, PROMPT), dtype=np.int64)
    return openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids)))


def main() -> None:
    file, threads = sys.argv[1:]
    pipe = openvino_genai.LLMPipeline(file, "CPU", INFERENCE_NUM_THREADS=int(threads))
    config = openvino_genai.GenerationConfig()
    config.do_sample, config.ignore_eos, config.apply_chat_template = False, True, False
    config.max_new_tokens = config.min_new_tokens = STEPS + 1
    print(f"ready {openvino_genai.__version__}", flush=True)
    for line in sys.stdin:
        what, count, seed = line.split()
        told = pipe.generate(inputs(int(count), int(seed)), config).perf_metrics
        first = told.get_ttft().mean / 1000
        rest = told.get_generate_duration().mean / 1000 - first
        print(first if what == "prefill" else rest / STEPS, flush=True)


if __name__ == "__main__":
    main()
