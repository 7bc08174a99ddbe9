"""One question at several thinking budgets: python examples/budgets.py ["QUESTION" [MODEL FOLDER]]"""

import sys

from sansi.base.bundled import bundled_models
from sansi.chat import ChatModel, ChatOptions

question = sys.argv[1] if len(sys.argv) > 1 else "What is 47 + 38 - 29?"
folder = sys.argv[2] if len(sys.argv) > 2 else bundled_models()["nano"]
budgets = (0, 16, 64, None)

with ChatModel.from_pretrained(folder) as chat:
    messages = [[{"role": "user", "content": question}]] * len(budgets)
    options = [ChatOptions(thinking_budget=budget, temperature=0) for budget in budgets]
    for budget, result in zip(budgets, chat.complete_batch(messages, options), strict=True):
        name = "unlimited" if budget is None else str(budget)
        ended = result.report.thinking_end_reason or "-"
        print(f"{name:>9}  {result.usage.reasoning_tokens:>4} tokens  {ended:<8}  {result.message.content}")
