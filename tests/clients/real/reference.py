"""The log-probabilities of continuations under the bundled model by transformers, as JSON; for with_lm_eval.py."""

import json
import sys

import torch
import transformers

folder, pairs = sys.argv[1], json.loads(sys.argv[2])
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
values = []
for context, continuation in pairs:
    before, after = tokenizer(context).input_ids, tokenizer(continuation).input_ids
    with torch.no_grad():
        scores = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
    at = range(len(before) - 1, len(before) + len(after) - 1)
    values.append(sum(scores[i, id_].item() for i, id_ in zip(at, after, strict=True)))
print(json.dumps(values))
