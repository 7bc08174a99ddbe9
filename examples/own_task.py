"""A task of one's own and a file of problems, asked and judged: python examples/own_task.py [MODEL FOLDER]"""

import random
import sys
from pathlib import Path

from sansi.base.bundled import bundled_models
from sansi.chat import ChatModel, ChatOptions
from sansi.data.problems import Problem, evaluation_problems, final_answer, get_task
from sansi.eval.problem_set import Score, ask

folder = sys.argv[1] if len(sys.argv) > 1 else bundled_models()["nano"]


class Change:
    """How much is left of a note: difficulty is the number of digits."""

    name = "change"
    levels = 2

    def problem(self, seed, difficulty=0):
        paid, price = sorted(random.Random(seed).sample(range(10**difficulty, 10 ** (difficulty + 1)), 2), reverse=True)
        return Problem(self.name, f"What is {paid} - {price}?", str(paid - price), difficulty=difficulty)

    def verify(self, problem, message):  # True, False, marks from 0 to 1, or a Verdict
        return final_answer(message.content) == problem.answer


with ChatModel.from_pretrained(folder) as chat:
    for task in (Change(), get_task(str(Path(__file__).with_name("own_problems.jsonl")))):
        problems = evaluation_problems([task], count=4)
        answers = ask(chat, problems, ChatOptions(temperature=0), task=task)
        for graded in answers:
            print(f"{graded.verdict.outcome:>10}  {graded.problem.asked}  ->  {graded.result.message.content}")
        score = Score.of(answers)
        print(f"{Path(task.name).name}: {score.accuracy:.0%} of {score.problems}")
