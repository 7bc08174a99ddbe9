"""What a contender of `bench/engine.py` speaks: one JSON object a line on standard input and output.

{"do": "load", "model": PATH, "options": {...}} -> {"facts": {...}}
{"do": "run", "case": {...}} -> {"times": [[seconds of each token since the start, ...] of each request], "ids": [...]}
{"do": "quit"}

A case: "prompts" (lists of ids), "new_tokens" (one number per prompt: exactly so many, greedy, no stop token),
"variant" (one of the contender's own, or null) and "stream" (false: only the last token's time is wanted).
Programs that print end up on standard error. Only the standard library: these files run in environments of their own.
"""

import json
import os
import sys


class Contender:
    """load(model, options) -> facts; run(case) -> {"times": ..., "ids": ...}."""

    def load(self, model, options):
        raise NotImplementedError

    def run(self, case):
        raise NotImplementedError


def serve(contender):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "quit":
            break
        try:
            if request["do"] == "load":
                reply = {"facts": contender.load(request["model"], request["options"])}
            else:
                reply = contender.run(request["case"])
        except Exception as error:  # the driver reports it and goes on without this cell
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)
    os._exit(0)  # libraries with threads of their own sometimes hang at exit
