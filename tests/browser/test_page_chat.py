"""Asking, thinking, budgets, stopping, branches: what the page is for."""

import json
import re

import pytest
from steps import BITS, ask, plain, send, set_budget, set_mode, shows, whole


def test_the_first_view_is_there_within_a_second(visit, nano_url):
    page = visit(nano_url).page

    def load() -> float:
        page.reload()
        page.wait_for_selector(".welcome .chip")
        return page.evaluate("performance.now()")

    assert any(load() < 1000 for _ in range(30))  # a busy machine may need several tries
    assert page.locator(".welcome .chip").count() == 6  # the model's own examples
    assert page.locator("#question").evaluate("e => e === document.activeElement")


def test_a_question_is_thought_about_and_answered(visit, nano_url):
    page = visit(nano_url).page
    answer = ask(page, BITS)
    assert "1934:" in answer.locator(".thought-text").inner_text()
    assert re.fullmatch(r"\d+ tokens", answer.locator(".thought-count").inner_text())
    assert answer.locator(".thought-end").inner_text() == "ended by itself"
    assert answer.locator(".thought-title").inner_text().startswith("Thought for ")
    assert re.fullmatch(r"\d+", answer.locator(".md").inner_text().strip())
    assert not answer.locator(".report").is_visible(), "figures are told when they are asked for"
    answer.locator(".did").click()
    facts = plain(answer.locator(".report").inner_text())
    assert re.search(
        r"^\d+ thought \+ \d+ answer tokens( · [\d,.]+ tok/s)? · first token [\d.]+ m?s$", facts, re.MULTILINE
    )


def test_an_example_is_one_click_away(visit, nano_url):
    page = visit(nano_url).page
    page.locator(".welcome .chip").nth(4).click()
    assert whole(page).locator(".md").inner_text().strip()


def test_a_budget_cuts_the_thought_and_the_reason_is_told(visit, nano_url):
    page = visit(nano_url).page
    set_budget(page, 32)
    assert page.locator("#budget").get_attribute("aria-valuetext") == "32 tokens"
    answer = ask(page, BITS)
    assert answer.locator(".thought-end").inner_text() == "cut at the budget of 32"
    assert int(answer.locator(".thought-count").inner_text().split()[0]) <= 32
    answer.locator(".did").click()
    report = answer.locator(".report").inner_text()
    assert "budget asked\n32 tokens" in report and "thought ended\ncut at the budget of 32" in report
    assert re.search(r"seed\n\d+", report) and "temperature 0.3" in report


def test_answer_at_once_does_not_think(visit, nano_url):
    page = visit(nano_url).page
    set_mode(page, "direct")
    assert page.locator("#budget").is_disabled()
    answer = ask(page, BITS)
    assert not answer.locator(".thought").is_visible() and answer.locator(".md").inner_text().strip()
    answer.locator(".did").click()
    assert "no thinking, by this page's switch" in answer.locator(".report").inner_text()


def test_mode_and_budget_of_a_message_are_what_is_asked_for(visit, scripted, scripted_url):
    page = visit(scripted_url).page

    def asked() -> tuple:
        ask(page, "hello")
        options = scripted.seen[-1][1]
        return options.enable_thinking, options.thinking_budget

    assert asked() == (None, None)
    set_budget(page, 64)
    assert asked() == (None, 64)
    set_mode(page, "think")
    assert asked() == (True, 64)
    set_mode(page, "direct")
    assert asked() == (False, None)
    set_mode(page, "auto")
    set_budget(page, None)
    assert asked() == (None, None)


def test_the_thought_streams_and_can_be_stopped(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    set_budget(page, 512)
    send(page, "a slow one")
    thought = page.locator(".thought-text")
    shows(thought, "Step 3")
    early = thought.inner_text()
    assert page.locator(".thought-title").inner_text() == "Thinking"
    assert re.search(r"^\d+ of 512 tokens · [\d.]+\ss$", page.locator(".thought-count").inner_text())
    shows(thought, "Step 9")
    assert thought.inner_text().startswith(early)
    assert page.locator("#send").get_attribute("aria-label") == "Stop"
    page.keyboard.press("Escape")
    answer = whole(page)
    assert answer.locator(".problem span").inner_text() == "Stopped."
    assert answer.locator(".thought-end").inner_text() == "stopped by you"
    assert page.locator("#send").get_attribute("aria-label") == "Send"
    from live_server import wait_for

    assert wait_for(lambda: scripted.cancelled == 1)  # the server was told


def test_a_stopped_answer_stays_in_the_conversation(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    set_mode(page, "direct")
    send(page, "a slow one")
    shows(page.locator(".md"), "word3")
    page.locator("#send").click()
    whole(page)
    ask(page, "hello")
    roles = [message["role"] for message in scripted.seen[-1][0]]
    assert roles == ["user", "assistant", "user"] and scripted.seen[-1][0][1]["content"].startswith("word0 word1")


def test_a_new_answer_is_a_version_of_the_old_one(visit, nano_url):
    page = visit(nano_url).page
    first = ask(page, BITS).locator(".thought-text").inner_text()
    set_budget(page, 8)
    page.locator(".again").click()
    second = whole(page)
    assert second.locator(".versions").inner_text() == "2/2"
    assert second.locator(".thought-end").inner_text() == "cut at the budget of 8"
    page.get_by_role("button", name="Previous version").click()
    assert page.locator(".answer .versions").inner_text() == "1/2"
    assert page.locator(".answer .thought-text").inner_text() == first
    assert page.get_by_role("button", name="Next version").evaluate("e => e === document.activeElement")


def test_an_edit_makes_a_branch_and_the_old_one_stays(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    ask(page, "first")
    ask(page, "second")
    page.locator(".question").first.hover()
    page.locator(".question .edit").first.click()
    box = page.locator(".edit-box")
    assert box.input_value() == "first"
    box.fill("changed")
    box.press("Enter")
    whole(page)
    assert page.locator(".bubble").all_inner_texts() == ["changed"]
    assert page.locator(".question .versions").inner_text() == "2/2"
    assert [m["content"] for m in scripted.seen[-1][0]] == ["changed"]
    page.locator(".question").get_by_role("button", name="Previous version").click()
    assert page.locator(".bubble").all_inner_texts() == ["first", "second"]


def test_an_edit_can_be_given_up(visit, scripted_url):
    page = visit(scripted_url).page
    ask(page, "first")
    page.locator("#question").press("ArrowUp")
    page.locator(".edit-box").press("Escape")
    assert page.locator(".bubble").inner_text() == "first" and not page.locator(".edit-box").count()


def test_a_call_of_a_tool_is_a_card_and_its_result_is_answered(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    answer = ask(page, "How is the weather?")
    card = answer.locator(".card")
    assert "get_weather" in card.inner_text() and "Lübeck" in card.inner_text() and "days" in card.inner_text()
    answer.locator(".results-form textarea").fill("14 °C, rain")
    answer.get_by_role("button", name="Send the result").click()
    assert whole(page).locator(".md").inner_text().strip() == "The tool says: 14 °C, rain"
    messages = scripted.seen[-1][0]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert messages[1]["reasoning_content"]  # a thought before a call belongs to the turn that goes on
    assert messages[2] == {"role": "tool", "tool_call_id": "call-1", "content": "14 °C, rain"}


def test_thoughts_of_earlier_turns_follow_the_history_policy(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    ask(page, "first")
    ask(page, "second")
    assert "reasoning_content" not in scripted.seen[-1][0][1]
    page.locator("#tune").click()
    page.get_by_label("Earlier thoughts").select_option("keep")
    page.keyboard.press("Escape")
    ask(page, "third")
    messages, options = scripted.seen[-1]
    assert options.history == "keep" and messages[1]["reasoning_content"] == "12 + 30 is 42."


def test_system_prompt_and_sampling_are_sent(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    ask(page, "hello")
    page.locator("#tune").click()
    assert page.get_by_label("Temperature").get_attribute("placeholder") == "0.6"  # from the last answer's report
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_role("button", name="Lively").click()
    assert page.get_by_label("Temperature").input_value() == "1"
    page.get_by_label("Temperature").fill("0.25")
    page.get_by_label("Seed").fill("9007199254740993")  # a JavaScript number would lose its last digit
    page.get_by_label("Max tokens").fill("77")
    page.keyboard.press("Escape")
    ask(page, "hello")
    messages, options = scripted.seen[-1]
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert (options.temperature, options.top_p, options.seed, options.max_tokens) == (0.25, 0.95, 9007199254740993, 77)


def test_tools_are_checked_and_sent(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    page.locator("#tune").click()
    box = page.locator("#settings textarea.mono")
    box.fill("not json")
    assert page.get_by_text("Not used: this is no JSON (line 1, column").is_visible()
    box.fill('[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]')
    page.keyboard.press("Escape")
    ask(page, "hello")
    assert scripted.seen[-1][1].tools[0]["function"]["name"] == "f"


def test_several_models_can_be_chosen(visit):
    from live_server import running
    from scripted_chat import ScriptedChat

    one, two = ScriptedChat("one"), ScriptedChat("two", context_length=100)
    with running([one, two]) as url:
        page = visit(url).page
        assert page.locator("#model option").all_inner_texts() == ["one", "two"]
        page.locator("#model").select_option("two")
        ask(page, "hello")
        assert not one.seen and len(two.seen) == 1
        assert int(page.locator("#budget").get_attribute("max")) < 10  # the scale ends at the context
        page.reload()
        page.wait_for_selector(".answer")
        assert page.locator("#model").input_value() == "two"


def test_another_conversation_does_not_stop_an_answer(visit, scripted, scripted_url):
    page = visit(scripted_url).page
    set_mode(page, "direct")
    send(page, "a slow one")
    page.wait_for_selector(".answer .md:not(:empty)")
    page.locator("#new-chat").click()
    ask(page, "hello")
    page.locator(".item-name", has_text="a slow one").click()
    shows(page.locator(".md"), "word30")
    page.locator("#send").click()
    assert whole(page).locator(".problem span").inner_text() == "Stopped."


@pytest.mark.parametrize(
    ("question", "said"),
    [("cut", "The answer was cut at the token limit."), ("empty", "The model ended its turn without an answer.")],
)
def test_an_answer_that_is_not_whole_says_so(visit, scripted_url, question, said):
    page = visit(scripted_url).page
    assert ask(page, question).locator(".problem span").inner_text() == said


# --- what can go wrong -----------------------------------------------------------------------------------------------


def test_a_full_queue_is_told_with_its_wait_and_tried_again(visit, scripted_url):
    watched = visit(scripted_url)
    page = watched.page
    watched.expect("429")
    error = '{"error": {"message": "full", "type": "server_error", "param": null, "code": null}}'
    full = {"status": 429, "headers": {"Retry-After": "90"}, "body": error}
    page.route("**/v1/chat/completions", lambda route: route.fulfill(**full), times=1)
    answer = ask(page, "hello")
    assert "its queue is full. It asks to wait 90 s." in plain(answer.locator(".problem").inner_text())
    assert re.search(r"Try again \(\d+\ss\)", answer.locator(".retry").inner_text())
    answer.locator(".retry").click()
    page.wait_for_selector(".md:not(:empty)")
    assert whole(page).locator(".md").inner_text().strip() == "It is 42."
    assert not page.locator(".answer .versions").is_visible()  # a failed answer is no version


def test_a_thought_that_comes_in_one_piece_is_not_said_to_have_taken_no_time(visit, scripted_url):
    page = visit(scripted_url).page
    timing = {"queue_s": 0, "first_token_s": 0.01, "total_s": 0.06, "tokens_per_second": 1000}
    usage = {"prompt_tokens": 9, "completion_tokens": 51, "completion_tokens_details": {"reasoning_tokens": 50}}
    chunks = [
        {"choices": [{"index": 0, "delta": {"reasoning_content": "Quick."}}]},
        {"choices": [{"index": 0, "delta": {"content": "42"}}]},
        {
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "sansi": {"mode": "thinking", "thinking_end_reason": "natural", "timing": timing},
        },
        {"choices": [], "usage": usage},
    ]
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=events))
    title = plain(ask(page, "hello").locator(".thought-title").inner_text())
    assert title.endswith(" s") and float(title.split()[2]) >= 0.05, "its tokens took that long"


def test_a_lost_connection_is_told_and_what_came_is_kept(visit, scripted_url):
    page = visit(scripted_url).page
    half = 'data: {"choices": [{"index": 0, "delta": {"content": "Half of"}}]}\n\n'
    page.route(
        "**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=half), times=1
    )
    answer = ask(page, "hello")
    assert answer.locator(".md").inner_text().strip() == "Half of"
    assert "The connection was lost" in answer.locator(".problem").inner_text()
    answer.locator(".retry").click()
    page.wait_for_selector(".answer .versions:not([hidden])")
    assert whole(page).locator(".md").inner_text().strip() == "It is 42."


def test_a_server_that_is_gone_is_told(visit, scripted_url):
    watched = visit(scripted_url)
    watched.expect("ERR_")
    watched.page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    assert "The server does not answer" in ask(watched.page, "hello").locator(".problem").inner_text()
    watched.page.reload()
    watched.page.wait_for_selector("#notice:not([hidden])")
    assert "The server does not answer" in watched.page.locator("#notice").inner_text()
    watched.page.unroute("**/v1/**")
    watched.page.locator("#notice button").click()
    watched.page.wait_for_selector("#notice", state="hidden")


def test_a_failure_of_the_server_is_told(visit, scripted_url):
    page = visit(scripted_url).page
    answer = ask(page, "break")
    assert "The server failed" in answer.locator(".problem").inner_text()
    assert answer.locator(".md").inner_text().startswith("This will break soon")


def test_what_the_server_refuses_is_told_in_its_words(visit):
    from fake_chat import FakeChat
    from live_server import running

    with running([FakeChat()]) as url:
        watched = visit(url)
        watched.expect("400")
        answer = ask(watched.page, "x" * 2000)
        assert "longer than the context of 1024" in answer.locator(".problem").inner_text()


def test_a_server_with_a_key_asks_for_it(visit, scripted):
    from live_server import running
    from sansi.serve.http.settings import Keys

    with running([scripted], keys=Keys(["open-sesame-and-more"])) as url:
        watched = visit(url, wait="#key[open]")
        watched.expect("401")
        page = watched.page
        page.get_by_label("API key").fill("wrong-wrong-wrong-wrong")
        page.keyboard.press("Enter")
        page.get_by_text("did not accept").wait_for()
        page.get_by_label("API key").fill("open-sesame-and-more")
        page.keyboard.press("Enter")
        page.wait_for_selector(".welcome .chip")
        assert ask(page, "hello").locator(".md").inner_text().strip() == "It is 42."
