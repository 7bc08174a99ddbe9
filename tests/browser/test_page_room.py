"""The context: how full it is, a warning before a thought is crowded out, and ways on where no room is left."""

import re

import pytest
from steps import answered_by, ask, shows, whole


@pytest.fixture
def small(visit):
    """A page of a model whose context holds little; what it is sent is in `.seen`."""
    from live_server import running
    from scripted_chat import ScriptedChat

    chat = ScriptedChat("small", context_length=100)
    with running([chat]) as url:
        watched = visit(url)
        watched.expect("400")
        watched.chat = chat
        yield watched


def counted(prompt, thought=2, answer=3, text="It is 42."):
    """What a server streams that counts so many tokens."""
    usage = {"prompt_tokens": prompt, "completion_tokens": thought + answer}
    usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    return [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    ]


def gauge(page):
    return page.locator("#gauge-text").inner_text()


def test_the_gauge_tells_what_the_server_counted(visit, scripted_url):
    page = visit(scripted_url).page
    assert gauge(page) == "0 of 40,000"
    answered_by(page, counted(prompt=123, thought=50, answer=3))
    ask(page, "hello")
    assert gauge(page) == "126 of 40,000", "the thought is left out of the next prompt"
    page.locator("#question").fill("and what of this rather long message, with many words in it?")
    assert int(gauge(page).split()[0]) > 130, "what is being typed counts too"
    shows(page.locator("#gauge-text"), "149 of 40,000")  # and rightly, once the server has counted its 23 tokens


def test_a_thought_that_would_be_crowded_out_is_warned_of(small):
    page = small.page
    answered_by(page, counted(prompt=20, thought=30, answer=5))
    ask(page, "hello")
    assert not page.locator("#room-notice").is_visible()
    answered_by(page, counted(prompt=60, thought=30, answer=5))
    ask(page, "again")
    notice = page.locator("#room-notice")
    assert "35 tokens for thought and answer" in notice.inner_text() or "Little room is left" in notice.inner_text()
    assert [b.inner_text() for b in notice.locator("button").all()] == ["New chat", "Continue without the oldest"]
    notice.get_by_role("button", name="New chat").click()
    assert page.locator("#welcome").is_visible() and not notice.is_visible()


def test_going_on_without_the_oldest_leaves_them_out_and_says_so(small):
    page = small.page
    page.route("**/v1/chat/completions", lambda route: route.fallback())
    for question, prompt in (("first", 20), ("second", 50), ("third", 85)):
        answered_by(page, counted(prompt=prompt, thought=10, answer=5))
        ask(page, question)
    page.locator("#room-notice").get_by_role("button", name="Continue without the oldest").click()
    assert not page.locator("#room-notice").is_visible()
    ask(page, "fourth")
    sent = [message["content"] for message in small.chat.seen[-1][0]]
    assert "first" not in sent and sent[-1] == "fourth"
    assert page.get_by_text("Messages above are no longer sent to the model.").is_visible()
    assert page.locator(".bubble").all_inner_texts() == ["first", "second", "third", "fourth"], "they can still be read"
    page.get_by_role("button", name="Send them again").click()
    ask(page, "x")
    assert [m["content"] for m in small.chat.seen[-1][0] if m["role"] == "user"] == [
        "first",
        "second",
        "third",
        "fourth",
        "x",
    ]


def test_what_does_not_fit_offers_no_try_again(small):
    page = small.page
    ask(page, "hello")
    full = {"error": {"message": "the prompt is too long", "code": "context_length_exceeded", "param": "messages"}}
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=400, json=full), times=1)
    problem = ask(page, "more").locator(".problem")
    assert "There is no room for this: the prompt is too long" in problem.inner_text()
    names = [button.inner_text() for button in problem.locator("button").all()]
    assert names == ["New chat", "Continue without the oldest", "Edit"]
    problem.get_by_role("button", name="Continue without the oldest").click()
    page.wait_for_selector(".log > :last-child.answer:not(.running) .md:not(:empty)")
    assert [message["content"] for message in small.chat.seen[-1][0]] == ["more"]


def test_a_question_that_found_no_room_begins_a_new_chat(small):
    page = small.page
    full = {"error": {"message": "the prompt is too long", "code": "context_length_exceeded", "param": "messages"}}
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=400, json=full), times=1)
    problem = ask(page, "more").locator(".problem")
    problem.get_by_role("button", name="Edit").click()
    assert page.locator(".edit-box").input_value() == "more"
    page.keyboard.press("Escape")
    problem.get_by_role("button", name="New chat").click()
    page.wait_for_selector(".md:not(:empty)")
    whole(page)
    assert page.locator(".item").count() == 2 and page.locator(".bubble").all_inner_texts() == ["more"]


def test_a_message_that_is_longer_than_the_context_is_told_before_it_is_sent(small):
    small.page.locator("#question").fill("word " * 400)
    assert small.page.get_by_text("This message alone is longer than the context: shorten it.").is_visible()
    assert re.match(r"[\d,]+ of 100", gauge(small.page))
