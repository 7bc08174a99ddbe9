"""lm-eval's local-completions, with the server's tokenizer: its values are those of transformers."""

import json
import os
import subprocess
from pathlib import Path

from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI

question = "<|im_start|>user\nWhat is 4 + 3?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
PAIRS = [(question, answer) for answer in ("7", "10", "11", "12")] + [
    ("The sum of 4 and 3 is", " 7"),
    ("4 + 3 =", " 7"),
]
reference = subprocess.run(
    [
        os.environ["SANSI_PYTHON"],
        str(Path(__file__).with_name("reference.py")),
        os.environ["CHECKPOINT"],
        json.dumps(PAIRS),
    ],
    capture_output=True,
    text=True,
    check=True,
)
wanted = json.loads(reference.stdout.splitlines()[-1])
worst = 0.0
for backend in ("remote",):
    lm = LocalCompletionsAPI(
        model="nano",
        base_url=os.environ["URL"] + "/v1/completions",
        tokenizer_backend=backend,
        batch_size=2,
        max_length=1024,
        tokenized_requests=True,
    )
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(PAIRS)]
    found = [value for value, greedy in lm.loglikelihood(requests, disable_tqdm=True)]
    worst = max([worst, *(abs(a - b) for a, b in zip(found, wanted, strict=True))])
    assert worst < 2e-3, (backend, found, wanted)
    generated = lm.generate_until(
        [Instance("generate_until", {}, (question, {"until": ["<|im_end|>"], "max_gen_toks": 4}), 0)], disable_tqdm=True
    )
    assert isinstance(generated[0], str)
print(f"loglikelihood with the remote tokenizer within {worst:.0e} of transformers; generate_until")
