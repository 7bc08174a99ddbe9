"""Codex CLI: an answer, and a command that the scripted agent has it run."""

import os
import subprocess
from pathlib import Path

home = Path(os.environ["HOME"]) / "codex"
work = home / "work"
work.mkdir(parents=True, exist_ok=True)
base_url = os.environ["URL"] + "/v1"
CONFIG = f"""model_provider = "sansi"
[model_providers.sansi]
name = "Sansi"
base_url = "{base_url}"
"""
(home / "config.toml").write_text(CONFIG)


def codex(model: str, words: str) -> str:
    program = Path(os.environ["FOLDER"]) / "node_modules" / ".bin" / "codex"
    options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-m", model]
    environment = {**os.environ, "CODEX_HOME": str(home)}
    done = subprocess.run(
        [str(program), "exec", *options, words],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


assert codex("fake", "What is 12 + 30?").strip() == "It is 42"
said = codex("agent", "Say forty-two by a command.")
assert "The tool says:" in said and "forty-two" in said, said
print("exec: an answer, and a command run and told")
