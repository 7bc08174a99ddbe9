"""Messages that are no problems: of all kinds, none of them a problem after all, each with a language."""

import random
import re
from collections import Counter

from sansi.post.requests import Requests, language_of
from sansi.post.small_talk import ABOUT, REPLIES

TEXTS = ["# Heading\n\nA sentence of a document. " + "Words that go on and on. " * 40, "short"]
SOLVABLE = re.compile(
    r"\s*(what is|what's|calculate|compute|how much is|add)?\s*\d{1,2}\s*([+-]|plus|minus)\s*\d{1,2}\s*[=?.]*\s*", re.I
)


def drawn(count: int, seed: int = 0, texts=TEXTS):
    requests, rng = Requests(texts), random.Random(seed)
    return [requests.draw(rng) for _ in range(count)]


def test_requests_are_many_kinds_and_rarely_the_same():
    made = drawn(4000)
    kinds = Counter(request.kind for request in made)
    assert set(kinds) == {kind for kind, _ in REPLIES} and kinds["other"] > 0.6 * len(made)
    others = [request.text for request in made if request.kind == "other"]
    assert len(set(others)) > 0.9 * len(others)
    assert 0.08 < sum(r.language == "zh" for r in made) / len(made) < 0.35


def test_no_request_is_a_problem_that_the_model_solves():
    for request in drawn(6000, seed=1):
        assert not SOLVABLE.fullmatch(request.text), request.text


def test_no_request_is_empty_or_has_an_open_choice_or_slot():
    for request in drawn(4000, seed=2, texts=[]):
        assert request.text.strip()
        assert not re.search(r"<(topic|thing|n|m|big|word|city|code)>", request.text), request.text


def test_texts_are_pasted_where_there_are_any():
    assert any("on and on" in request.text for request in drawn(400))
    assert not any("on and on" in request.text for request in drawn(400, texts=[]))
    assert all(len(request.text.encode()) < 1000 for request in drawn(2000))


def test_the_same_seed_draws_the_same():
    assert drawn(50) == drawn(50) != drawn(50, seed=3)


def test_the_language_of_a_text():
    assert [
        language_of(t)
        for t in ("Hello", "你好", "東京の天気は？", "安녕", "🙂", "翻译 hello", "12", "写个 Python 函数")
    ] == (["en", "zh", "en", "zh", "en", "zh", "en", "zh"])
    assert language_of(ABOUT["zh"]) == "zh" and language_of(ABOUT["en"]) == "en"
