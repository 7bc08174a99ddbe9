"""The pictures of the documents. `make browser SHOTS=1` takes them anew; else it is seen that they can be taken.

Every answer in them is right: the bundled model's are checked here, the others are scripted. But in the comparison
those at 0 and 16 tokens are wrong, those at 64 and without a limit right, as its captions say.
"""

import functools
import json
import random
from pathlib import Path

import pytest
from steps import PHONE, ask, send, whole

ROOT = Path(__file__).resolve().parents[2]
SHARP = {"device_scale_factor": 2, "viewport": {"width": 1200, "height": 760}}
BUDGETS = [0, 16, 64, None]
RIGHT = [False, False, True, True]
SEED = 1
WORDINGS = {
    "en-US": ("What is {}?", "State the final answer to the following arithmetic problem: {} ="),
    "zh-CN": ("{} 等于多少？", "State the final answer to the following arithmetic problem: {} ="),
}


@pytest.fixture(scope="session")
def right(nano_url):
    """right(language) -> a sum, and its value, which the bundled model with SEED finds at 64 tokens, not at 16."""

    @functools.cache
    def find(language="en-US"):
        for wording in WORDINGS[language]:
            for each in asked(wording):
                if [is_right(nano_url, each, budget) for budget in BUDGETS] == RIGHT:
                    return each
        raise AssertionError("of no sum the bundled model finds the value with long thoughts alone")

    return find


def asked(wording):
    return [(wording.format(expression), str(value)) for expression, value in sums()]


def is_right(url, problem, budget):
    question, value = problem
    return said(url, question, budget) == value


def sums(count=8):
    draw = random.Random(0)
    for _ in range(count):
        numbers = [draw.randint(3, 60) for _ in range(4)]
        signs = [draw.choice((1, -1)) for _ in numbers[1:]]
        pairs = list(zip(signs, numbers[1:], strict=True))
        yield (
            f"{numbers[0]}" + "".join(f" {'+-'[s < 0]} {n}" for s, n in pairs),
            numbers[0] + sum(s * n for s, n in pairs),
        )


def said(url, question, budget):
    from live_server import http

    body = {"model": "nano", "messages": [{"role": "user", "content": question}], "seed": SEED}
    budget_given = {} if budget is None else {"thinking_budget": budget}
    answer = http.post(f"{url}/v1/chat/completions", json=body | budget_given).json()
    return answer["choices"][0]["message"]["content"].strip()


def with_seed(page):
    """Let every question of the page have SEED, of which nothing is to be seen."""

    def seeded(route):
        route.continue_(post_data=json.dumps(route.request.post_data_json | {"seed": SEED}))

    page.route("**/v1/chat/completions", seeded)


def ready(page):
    page.locator("#question").blur()
    page.mouse.move(5, 500)


@pytest.mark.parametrize(("language", "scheme"), [("en-US", "light"), ("en-US", "dark"), ("zh-CN", "light")])
def test_the_comparison(visit, nano_url, right, picture, language, scheme):
    question, value = right(language)
    looks = SHARP | {"viewport": {"width": 1200, "height": 940}}
    page = visit(nano_url, locale=language, color_scheme=scheme, **looks).page
    with_seed(page)
    page.locator("#compare").click()
    send(page, question)
    page.wait_for_function("() => document.querySelectorAll('.column:not(.running)').length === 4")
    answers = [answer.strip() for answer in page.locator(".column .md").all_inner_texts()]
    assert [answer == value for answer in answers] == RIGHT
    caption = f"{question.split(' 等于')[0]} = {value}" if language == "zh-CN" else f"{question[8:-1]} is {value}"
    assert f"*{caption}" in (ROOT / ("README.zh.md" if language == "zh-CN" else "README.md")).read_text(
        encoding="utf-8"
    )
    page.locator("#compare").click()
    ready(page)
    picture(page, "compare-zh.png" if language == "zh-CN" else f"compare-{scheme}.png")


@pytest.mark.parametrize("name", ["chat-light", "chat-dark", "chat-phone"])
def test_a_chat(visit, nano_url, right, picture, name):
    question, value = right()
    looks = SHARP | {"color_scheme": "dark" if name == "chat-dark" else "light"}
    if name == "chat-phone":
        looks = PHONE | {"viewport": {"width": 390, "height": 760}}
    page = visit(nano_url, **looks).page
    with_seed(page)
    assert ask(page, question).locator(".md").inner_text().strip() == value
    ready(page)
    picture(page, f"{name}.png")


def test_a_chat_in_chinese(visit, scripted_url, picture):
    page = visit(scripted_url, locale="zh-CN", **SHARP).page
    ask(page, "“三思而后行”出自哪里？是什么意思？")
    ready(page)
    picture(page, "chat-zh.png")


def test_a_call_of_a_tool(visit, scripted_url, picture):
    page = visit(scripted_url, **SHARP).page
    send(page, "How is the weather in Lübeck for the next three days?")
    results = whole(page).locator(".results-form textarea")
    results.fill("14 °C today, 12 °C and rain tomorrow, 15 °C and sun after that.")
    ready(page)
    picture(page, "chat-tools.png")


def test_formulas_code_and_a_table(visit, scripted_url, picture):
    page = visit(scripted_url, **(SHARP | {"viewport": {"width": 1200, "height": 1180}})).page
    ask(page, "How does merge sort work?")
    page.wait_for_selector(".math.ready")
    page.wait_for_selector(".hljs-keyword")
    ready(page)
    picture(page, "chat-rich.png")
