"""The bundled model in transformers: the same greedy tokens as in Sansi's engine, and it stops by itself."""

from pathlib import Path

import pytest
import torch
from sansi.chat import ChatModel, ChatOptions
from sansi.data.problems import evaluation_set, is_right
from transformers import AutoModelForCausalLM, AutoTokenizer

FOLDER = Path(__file__).resolve().parents[1] / "checkpoints" / "nano"
PROBLEMS = evaluation_set(24)


@pytest.fixture(scope="module")
def answers():
    questions = [[{"role": "user", "content": p.question}] for p in PROBLEMS]
    with ChatModel.from_pretrained(FOLDER) as chat:
        return chat.complete_batch(questions, ChatOptions(temperature=0.0))


def test_greedy_tokens_are_those_of_transformers_which_stops_by_itself(answers):
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    for problem, answer in zip(PROBLEMS, answers, strict=True):
        messages = [{"role": "user", "content": problem.question}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + "<think>\n"
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
        assert ids[0].tolist() == list(answer.prompt_ids)
        generated = model.generate(ids, do_sample=False, max_new_tokens=400)[0, ids.shape[1] :]
        assert generated.tolist() == list(answer.ids)


def test_most_answers_are_right_with_thought(answers):
    right = [is_right(p, (a.message.content or "").strip()) for p, a in zip(PROBLEMS, answers, strict=True)]
    assert sum(right) >= 0.75 * len(right)


def test_the_question_of_the_help_is_answered():
    question = "State the final answer to the following arithmetic problem: 12 + 30 ="
    with ChatModel.from_pretrained(FOLDER) as chat:
        assert chat.complete([{"role": "user", "content": question}], ChatOptions(seed=0)).message.content == "42"
