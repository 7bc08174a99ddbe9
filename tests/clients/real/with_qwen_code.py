"""qwen-code: an answer, with an effort set, and a command that the scripted agent has it run."""

import json
import os
import subprocess
from pathlib import Path

home = Path(os.environ["HOME"]) / "qwen"
(home / "work").mkdir(parents=True, exist_ok=True)
(home / ".qwen").mkdir(exist_ok=True)
SETTINGS = {
    "model": {"generationConfig": {"reasoning": {"effort": "medium"}}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"disableAutoUpdate": True},
}
(home / ".qwen" / "settings.json").write_text(json.dumps(SETTINGS))


def qwen(model: str, words: str, *options: str) -> str:
    program = Path(os.environ["FOLDER"]) / "node_modules" / ".bin" / "qwen"
    environment = {**os.environ, "HOME": str(home), "OPENAI_API_KEY": "none", "OPENAI_MODEL": model}
    environment["OPENAI_BASE_URL"] = os.environ["URL"] + "/v1"
    done = subprocess.run(
        [str(program), "--auth-type", "openai", "-p", words, *options],
        cwd=home / "work",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


said = qwen("fake", "What is 12 + 30?")
assert "It is 42" in said, said
said = qwen("agent", "Say forty-two by a command.", "-y")
assert "forty-two" in said, said
print("-p with an effort set: an answer; -y: a command run and told")
