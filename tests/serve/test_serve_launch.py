"""What happens before the server listens: the example questions, and that nothing heavy is loaded for them."""

import subprocess
import sys

import pytest
from sansi.base.errors import SansiError
from sansi.serve.launch import read_examples

# What training, evaluation and tests need; each takes seconds or many megabytes that a server has no use for.
HEAVY = ("matplotlib", "reasoning_gym", "transformers", "datasketch", "pycld2", "torch._dynamo", "openai")
ROOMS = ("sansi.data", "sansi.eval", "sansi.train", "sansi.post")

ONE_ANSWER = """
import sys, uvicorn, sansi.cli, sansi.serve.launch
from sansi.serve.app import create_app
from sansi.chat import ChatModel, ChatOptions
with ChatModel.from_pretrained(sys.argv[1], device="cpu") as chat:
    create_app([chat])
    chat.complete([{"role": "user", "content": "Hi"}], ChatOptions(max_tokens=3))
print(*sorted(sys.modules))
"""


def test_a_server_loads_nothing_of_training_and_evaluation(tiny):
    done = subprocess.run([sys.executable, "-c", ONE_ANSWER, tiny], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "sansi.serve.app" in loaded and not loaded & {*HEAVY, *ROOMS}


def test_examples_are_read(tmp_path):
    assert read_examples(str(tmp_path)) == []
    (tmp_path / "examples.json").write_text('["What is 12 + 30?", "三思?"]', encoding="utf-8")
    assert read_examples(str(tmp_path)) == ["What is 12 + 30?", "三思?"]


@pytest.mark.parametrize("content", ["{", '{"a": "b"}', "[3]"])
def test_damaged_examples_are_named(tmp_path, content):
    (tmp_path / "examples.json").write_text(content)
    with pytest.raises(SansiError, match=r"examples\.json"):
        read_examples(str(tmp_path))
