"""`python -m sansi.sandbox`: which rungs hold here, and every attempt to get out on each. `--json` for programs."""

from __future__ import annotations

import json
import sys

from sansi.sandbox.check import attempts_on, attempts_without, escapes
from sansi.sandbox.ladder import survey
from sansi.sandbox.rungs import NAMES


def main() -> int:
    found = survey()
    results = {kind: attempts_on(kind) for kind, reason in found.items() if reason is None}
    if "--json" in sys.argv[1:]:
        print(json.dumps({"rungs": found, "attempts": results, "without": attempts_without()}))
        return 0
    for kind, reason in found.items():
        print(f"{NAMES[kind]}: {reason or 'holds'}")
        through = escapes(results.get(kind, {})) if reason is None else {}
        if reason is None:
            print(f"  {len(results[kind]) - len(through)} of {len(results[kind])} attempts to get out are blocked")
        for name, said in through.items():
            print(f"  {name}: {said}")
    return 1 if not results or any(map(escapes, results.values())) else 0


if __name__ == "__main__":
    sys.exit(main())
