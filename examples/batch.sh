#!/usr/bin/env bash
# A file of questions, answered together and in order: examples/batch.sh [QUESTIONS.jsonl [MODEL]]
set -euo pipefail
cd "$(dirname "$0")"
PATH="../.venv/bin:$PATH"
sansi run --jsonl "${1:-questions.jsonl}" -m "${2:-nano}" --temperature 0 |
    python3 -c 'import json, sys; [print(json.loads(line)["content"]) for line in sys.stdin]'
