"""guidellm at its defaults against the bundled model: chat and text, one after the other."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

program = Path(os.environ["FOLDER"]) / "bin" / "guidellm"
for kind in ("chat_completions", "text_completions"):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        options = ["--target", os.environ["URL"], "--model", "nano", "--request-type", kind, "--profile", "synchronous"]
        options += ["--max-requests", "3", "--data", "prompt_tokens=16,output_tokens=8", "--output-path", str(out)]
        command = [str(program), "benchmark", "run", *options, "--processor", os.environ["CHECKPOINT"]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, (done.stderr or done.stdout)[-1500:]
        told = json.loads(out.read_text())["benchmarks"][0]
        requests = told["requests"]
        assert len(requests["successful"]) == 3 and not requests["errored"], str(requests)[:1500]
print("synchronous, chat and text: all requests answered")
