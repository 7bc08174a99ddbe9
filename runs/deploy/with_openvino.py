"""OpenVINO GenAI on the CPU: full weights, converted by optimum-intel, answered by its pipeline.

Installed: `openvino-genai`, and `optimum-intel` for the conversion, without torchvision, whose build is for CUDA.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from runtime import QUESTIONS, WORK, Runtime, Seen, compared, exported, main, models, sansi_answers
from sansi.text import Codec
from sansi.text.tokenizer import CONTROL_TEXT

RUNTIME = Runtime(
    "openvino",
    "2026.4.1",
    packages=("openvino-genai==2026.4.1.0", "optimum-intel==2.2.0", "torch==2.13.0+cpu"),
    remove=("torchvision",),
    programs=("optimum-cli",),
)
ANSWER = """
import json, sys
import openvino_genai as genai
pipe = genai.LLMPipeline(sys.argv[1], "CPU")
wanted = genai.GenerationConfig()
wanted.max_new_tokens, wanted.do_sample, wanted.apply_chat_template = 96, False, False
print(json.dumps([str(pipe.generate(prompt, wanted)) for prompt in json.loads(sys.stdin.read())]))
"""


def converted(folder: Path) -> Path:
    target = WORK / f"{folder.name}-openvino"
    if not target.exists():
        words = ["export", "openvino", "--model", str(folder), "--weight-format", "fp32"]
        words += ["--task", "text-generation-with-past", str(target)]
        subprocess.run([str(RUNTIME.program), *words], check=True, capture_output=True)
    return target


def generated(folder: Path) -> list[str]:
    codec = Codec.from_pretrained(folder)
    asked = [[{"role": "user", "content": question}] for question in QUESTIONS]
    prompts = [codec.render(messages, enable_thinking=on) for messages in asked for on in (True, False)]
    texts = json.dumps([prompt.text for prompt in prompts])
    python = str(RUNTIME.folder / "bin" / "python")
    command = [python, "-c", ANSWER, str(converted(folder))]
    done = subprocess.run(command, input=texts, capture_output=True, text=True, check=True)
    answers = json.loads(done.stdout.strip().splitlines()[-1])
    found = []
    for text in answers:
        thought, _, answer = text.rpartition(CONTROL_TEXT["think_end"])
        found.append(f"{thought.replace(CONTROL_TEXT['think'], '').strip()}|{answer.strip()}")
    return found


def tried() -> Iterator[Seen]:
    for model in models():
        folder = exported(model, "hf", "fp32")
        yield Seen(f"{model.name}, `--to hf`", *compared(sansi_answers(folder), generated(folder)))


if __name__ == "__main__":
    sys.exit(main(RUNTIME, tried))
