"""The bundled model: the same greedy tokens in transformers as in Sansi's engine, and what a newcomer gets from it.

Greedy answers differ between processors where two tokens are nearly as likely, so shares have margins, and the single
answers that must be right are those of the model's own examples.
"""

import sys
from pathlib import Path

import pytest
import torch
from sansi.base.model_card import read_card
from sansi.chat import ChatModel, ChatOptions
from sansi.data.problems import evaluation_set, is_right
from sansi.post.small_talk import ABOUT, REPLIES
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import first_contact

FOLDER = Path(__file__).resolve().parents[1] / "checkpoints" / "nano"
PROBLEMS = evaluation_set(24)
GREEDY = ChatOptions(temperature=0.0)
EXAMPLE_ANSWERS = {
    "en": ["19", "3", "6", "ananab", "3", "12", "34", ABOUT["en"]],
    "zh": ["19", "34", "2", "6", "ananab", "12", "3", ABOUT["zh"]],
}


@pytest.fixture(scope="module")
def chat():
    with ChatModel.from_pretrained(FOLDER, max_batch=64) as chat:
        yield chat


@pytest.fixture(scope="module")
def answers(chat):
    return chat.complete_batch([[{"role": "user", "content": p.question}] for p in PROBLEMS], GREEDY)


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


def test_the_question_of_the_help_is_answered(chat):
    question = "State the final answer to the following arithmetic problem: 12 + 30 ="
    assert chat.complete([{"role": "user", "content": question}], ChatOptions(seed=0)).message.content == "42"


@pytest.mark.parametrize("switch", ["prefill", "model"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_few_tokens_are_the_answers(chat, count, switch):
    options = ChatOptions(temperature=0.0, max_tokens=count, soft_switch=switch)
    result = chat.complete([{"role": "user", "content": "What is 12 + 7?"}], options)
    assert result.message.content
    assert bool(result.report.warnings) == (result.message.reasoning_content is None)


# --- first contact ----------------------------------------------------------------------------------------------------


def share(outcomes: list) -> float:
    return sum(outcome.right for outcome in outcomes) / len(outcomes)


def assert_mostly_right(outcomes: list, right: float, refused: float = 1.0) -> None:
    """So large a share is right at the least, and so large a one got the honest answer at the most."""
    assert share(outcomes) >= right
    assert sum(outcome.refused for outcome in outcomes) <= refused * len(outcomes)


@pytest.mark.parametrize("language", EXAMPLE_ANSWERS)
def test_its_own_examples_are_answered_rightly(chat, language):
    asked = read_card(FOLDER).examples_in(language)
    assert first_contact.ask(chat, [first_contact.said(text) for text in asked], GREEDY) == EXAMPLE_ANSWERS[language]


def test_sums_are_right_in_peoples_own_words(chat):
    assert_mostly_right(first_contact.measure_sums(chat, 4, GREEDY), right=0.88, refused=0.05)


def test_strangers_questions_are_mostly_right_and_rarely_refused(chat):
    outcomes = first_contact.measure_questions(chat, GREEDY)
    assert len(outcomes) == 80
    assert_mostly_right(outcomes, right=0.88, refused=0.05)


def test_problems_are_right_in_peoples_own_words_and_none_is_refused(chat):
    assert_mostly_right(first_contact.measure_wordings(chat, 8, GREEDY), right=0.8, refused=0.03)


def test_small_talk_is_answered(chat):
    assert_mostly_right(first_contact.measure_small_talk(chat, GREEDY), right=0.9)


def test_what_it_cannot_do_it_says(chat):
    outcomes = first_contact.measure_messages(chat, GREEDY, every=4)
    assert len(outcomes) >= 100
    assert_mostly_right(outcomes, right=0.9)


def test_later_turns_are_nearly_as_good_as_the_first(chat):
    outcomes = first_contact.measure_turns(chat, 15, GREEDY)
    first, *later = (share([o for o in outcomes if o.group == f"turn {turn}"]) for turn in first_contact.TURNS)
    assert min(later) >= first - 0.15 and min(later) >= 0.7


def test_the_honest_answer_comes_in_any_turn_and_both_modes(chat):
    talk = [
        {"role": "user", "content": "What is 12 + 7?"},
        {"role": "assistant", "content": "19"},
        {"role": "user", "content": "Write a poem about spring"},
    ]
    for thinking in (True, False):
        options = ChatOptions(temperature=0.0, enable_thinking=thinking)
        assert chat.complete(talk, options).message.content == ABOUT["en"]
        hello = chat.complete([{"role": "user", "content": "Hello"}], options).message.content
        assert hello == REPLIES["greeting", "en"].answer
