"""The page with tools that the operator turned on: cards, questions, pictures, sources, one stop; text stays text."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from steps import send, shows, violations, whole
from test_page_keeps import entry

sys.path.append(str(Path(__file__).resolve().parents[1] / "serve"))
from agent_setup import Tools, slow_tool
from asking_tool import book, may_ask_more, several, sign_in
from live_server import LONG, running, wait_for
from sansi.agents import Attachment, Result, tool
from sansi.agents.approvals import Policy
from sansi.agents.tools.files import Files
from sansi.base.model_card import Example, ModelCard
from sansi.serve.agent.server_tools import ServerTools

ROOT = Path(__file__).resolve().parents[2]
SHARP = {"device_scale_factor": 2, "viewport": {"width": 1200, "height": 1500}}
WEATHER = """\
[1] notes/november.md, characters 120–310 (under “Lübeck”)
Mean temperatures of the week, beside [2] station-log: 4.1, 5.0, 6.3, 5.8, 3.9, 2.2 and 1.7 °C.

[2] station-log.pdf, page 3, characters 0–180
On Thursday the wind turned to the north-east; fog in the morning hours."""
EXAMPLES = {"en": [Example("", "How did the temperatures in Lübeck develop this week?")]}


@tool(origin="built-in", tainted=True)
def retrieval(query: str, count: int = 5) -> Result:
    """Search the user's documents."""
    return Result(WEATHER, origin="notes/november.md, station-log.pdf")


@tool(origin="mcp:charts", title="plot")
def plot(values: list[float], title: str = "") -> Result:
    """Plot values as a line."""
    return Result(f"A line plot of {len(values)} values.", (Attachment("november.png", "image/png", png(values)),))


@tool
def breaks() -> str:
    """It fails."""
    raise ValueError("the disk is full")


EVIL = """<img src="https://evil.example/a.png"> ![x](https://evil.example/b.png) [click](https://evil.example)
<script>window.hacked = 1</script> https://evil.example/auto"""


@tool(tainted=True)
def evil() -> Result:
    """Text of strangers."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="window.hacked = 2"/>'
    return Result(EVIL, (Attachment("x.svg", "image/svg+xml", svg), Attachment("page.html", "text/html", b"<script>")))


def png(values):
    """A line plot, drawn once for all."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 2.4), dpi=110)
    axes.plot(range(1, len(values) + 1), values, color="#c03a25", marker="o")
    axes.set_title("Lübeck, °C", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    data = io.BytesIO()
    figure.savefig(data, format="png", bbox_inches="tight")
    pyplot.close(figure)
    return data.getvalue()


@pytest.fixture
def slow():
    """A tool that takes long, and what is known of it."""
    return slow_tool(LONG, origin="mcp:far")


@pytest.fixture
def agent_url(scripted, tmp_path, slow):
    (tmp_path / "project").mkdir()
    files = {tool.name: tool for tool in Files(tmp_path / "project").tools()}
    tools = ServerTools(
        Tools(retrieval, plot, files["write_file"], breaks, evil, book, several, sign_in, slow[0]),
        tmp_path,
        Policy.of("ask", always=["mcp:charts/plot"]),
    )
    with running([scripted], {"scripted": ModelCard(examples=EXAMPLES)}, tools) as url:
        yield url


def cards(page):
    return page.locator(".card.call")


def test_an_agent_answers_with_cards_a_question_a_picture_and_sources(visit, agent_url, picture, scripted):
    page = visit(agent_url, **SHARP).page
    send(page, "How did the temperatures in Lübeck develop this week?")
    asking = page.locator('.card.call[data-state="asking"]')
    asking.wait_for()
    assert "waits for you" in asking.inner_text() and "nothing in this call comes from you" in asking.inner_text()
    shows(asking.locator("pre.asked"), "+++ b/report/november.md\n@@ -0,0 +1,3 @@\n+# November")
    page.wait_for_selector(".made img")
    ready(page)
    picture(page, "agent-asks.png")
    asking.get_by_role("button", name="Once").click()
    page.wait_for_selector(".sources")
    ready(page)
    picture(page, "agent.png")
    states = [card.get_attribute("data-state") for card in cards(page).all()]
    assert states == ["done", "done", "done"]
    assert [card.locator(".card-origin").inner_text() for card in cards(page).all()] == [
        "built in",
        "server charts",
        "built in",
    ]
    assert "[1] notes/november.md" in page.locator(".sources").inner_text()
    page.locator(".sources button").last.click()
    assert page.evaluate("getSelection().toString()").startswith("[2] station-log.pdf")
    assert page.locator(".made img").evaluate("image => image.naturalWidth > 100")
    roles = (
        [message["role"] for message in scripted.seen[-1][0]]
        if isinstance(scripted.seen[-1][0][0], dict)
        else [m.role for m in scripted.seen[-1][0]]
    )
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "tool"]


def ready(page):
    page.locator("#question").blur()
    page.mouse.move(5, 500)


def test_what_was_is_there_again_after_a_reload_and_is_sent_along(visit, agent_url, scripted):
    page = visit(agent_url).page
    send(page, "Please write it")
    page.get_by_role("button", name="Once").click()
    shows(whole(page).locator(".md"), "Done.")
    page.reload()
    page.wait_for_selector(".card.call")
    assert cards(page).get_attribute("data-state") == "done" and "wrote a.md: 1 line" in cards(page).inner_text()
    send(page, "And again, hello")
    page.wait_for_function(
        "() => document.querySelectorAll('.question').length === 2 && !document.querySelector('.running')"
    )
    assert [message.role for message in scripted.seen[-1][0]] == ["user", "assistant", "tool", "assistant", "user"]


def test_no_and_its_reason_reach_the_model(visit, agent_url, scripted):
    page = visit(agent_url).page
    send(page, "Please write it")
    page.get_by_label("With no: why, for the model").fill("not this file")
    page.keyboard.press("Enter")
    shows(whole(page).locator(".md"), "Done.")
    assert cards(page).get_attribute("data-state") == "denied" and "not approved" in cards(page).inner_text()
    assert "not this file" in scripted.seen[-1][0][-1].content


def test_a_long_call_is_shown_whole_before_it_is_approved_for_longer(visit, agent_url, axe):
    page = visit(agent_url).page
    send(page, "Please write long")
    asking = page.locator('.card.call[data-state="asking"]')
    asking.wait_for()
    assert "characters are not shown here" in asking.inner_text()
    assert not asking.get_by_role("button", name="Always").count() and not violations(page, axe)
    asking.get_by_role("button", name="Show all of it").click()
    asking.get_by_role("button", name="Always").wait_for()
    assert "rm -rf /" in asking.locator("pre.asked").inner_text()
    assert not asking.get_by_role("button", name="Show all of it").is_visible()
    asking.get_by_role("button", name="This conversation", exact=True).click()
    shows(whole(page).locator(".md"), "Done.")
    send(page, "Please write long")
    page.wait_for_function("() => document.querySelectorAll('.card.call[data-state=done]').length === 2")


def test_this_conversation_holds_for_the_next_call_alone(visit, agent_url):
    page = visit(agent_url).page
    send(page, "Please write it")
    page.get_by_role("button", name="This conversation", exact=True).click()
    shows(whole(page).locator(".md"), "Done.")
    send(page, "Once more, write it")
    page.wait_for_function("() => document.querySelectorAll('.card.call[data-state=done]').length === 2")
    page.locator("#new-chat").click()
    send(page, "Please write it")
    page.wait_for_selector('.card.call[data-state="asking"]')


def test_a_failure_is_red_and_told_apart(visit, agent_url):
    page = visit(agent_url).page
    send(page, "Let it fail")
    shows(whole(page).locator(".md"), "It did not work.")
    assert cards(page).get_attribute("data-state") == "failed" and "the disk is full" in cards(page).inner_text()
    send(page, "Call nowhere")
    page.wait_for_function("() => document.querySelectorAll('.card.call[data-state=failed]').length === 2")


def test_a_form_of_a_server_is_filled_in_on_its_card(visit, agent_url, axe):
    watched = visit(agent_url)
    watched.expect("status of 400")  # what does not fit is refused
    page = watched.page
    send(page, "Please book")
    asking = page.locator('.card.call[data-state="asking"]')
    form = asking.locator(".input-form")
    form.wait_for()
    assert "waits for you" in asking.inner_text() and "Server travel asks you" in form.inner_text()
    assert not violations(page, axe)
    form.get_by_label("Whose name").fill("Ada")
    assert form.get_by_label("seats").input_value() == "2"
    form.get_by_label("class").select_option(label="Business")
    form.get_by_role("button", name="Send").click()
    shows(form.locator("[role=alert]"), "days")  # the server's word; what was filled in stays
    form.get_by_label("tue").check()
    form.get_by_role("button", name="Send").click()
    shows(whole(page).locator(".md"), "Booked.")
    done = page.locator('.card.call[data-state="done"]').inner_text()
    assert '"class": "biz", "days": ["tue"], "name": "Ada", "seats": 2' in done
    assert not page.locator(".input-form").count()


def test_a_form_keeps_what_is_filled_in_when_more_is_asked(visit, agent_url):
    may_ask_more.clear()
    page = visit(agent_url).page
    send(page, "Ask several things")
    form = page.locator(".input-form").first
    form.get_by_label("Whose name").fill("Ada")
    may_ask_more.set()
    page.get_by_text("A note?").wait_for()
    assert form.get_by_label("Whose name").input_value() == "Ada"
    page.locator(".input-form").last.get_by_role("button", name="Decline").click()
    shows(whole(page).locator(".md"), "Booked.")


def test_a_run_that_cannot_go_on_says_why(visit, agent_url):
    """The server's last event is the error then."""
    page = visit(agent_url).page
    told = 'data: {"kind":"run","id":"r"}\n\ndata: {"error":{"message":"the tools are on fire"}}\n\n'
    page.route("**/v1/agent/runs", lambda route: route.fulfill(content_type="text/event-stream", body=told))
    send(page, "Go")
    page.get_by_text("the tools are on fire").wait_for()


def test_a_page_to_visit_is_told_and_never_a_link(visit, agent_url):
    page = visit(agent_url).page
    send(page, "Please sign in")
    form = page.locator(".input-form")
    form.wait_for()
    assert "https://example.com/login?a=1" in form.inner_text() and not form.locator("a").count()
    form.get_by_role("button", name="Decline").click()
    shows(whole(page).locator(".md"), "Signed in.")
    assert "decline" in page.locator('.card.call[data-state="done"]').inner_text()


@pytest.mark.parametrize("word", ["Please write it", "Please book"])
def test_a_question_that_was_open_at_a_reload_is_not_asked_any_more(visit, agent_url, word):
    page = visit(agent_url).page
    send(page, word)
    page.wait_for_selector('.card.call[data-state="asking"]')
    page.reload()  # at once: what came is kept all the same, not only what came by the last few seconds
    page.wait_for_selector('.card.call[data-state="cancelled"]')
    assert page.locator(".thought-own, .thought-text").first.text_content()
    assert not page.locator(".card-question button:visible").count()


def test_a_result_can_be_copied(visit, agent_url):
    page = visit(agent_url).page
    send(page, "Let it fail")
    shows(whole(page).locator(".md"), "It did not work.")
    page.locator(".card.call details").evaluate("details => (details.open = true)")
    page.get_by_role("button", name="Copy the result").click()
    assert "the disk is full" in page.evaluate("navigator.clipboard.readText()")


def test_one_stop_reaches_the_tool(visit, agent_url, slow):
    _, begun, told = slow
    page = visit(agent_url).page
    send(page, "Please wait")
    page.get_by_role("button", name="Once").click()
    page.wait_for_selector('.card.call[data-state="running"]')
    assert wait_for(begun.is_set)
    page.locator("#send").click()
    page.wait_for_selector('.card.call[data-state="cancelled"]')
    assert wait_for(told.is_set)
    assert (
        "Stopped" in page.locator(".answer").last.inner_text() or "stopped" in page.locator(".answer").last.inner_text()
    )


def test_text_of_a_tool_is_text(visit, agent_url):
    page = visit(agent_url).page  # `visit` fails for any request to another server
    send(page, "Read the evil page")
    page.wait_for_selector('.card.call[data-state="done"]')
    card = cards(page)
    card.locator("details").evaluate("details => (details.open = true)")
    assert card.locator("img, a, script, iframe").count() == 0 and "<img src=" in card.locator("pre").last.inner_text()
    assert "text of strangers" in card.inner_text() and "Save x.svg" in card.inner_text()
    assert page.evaluate("window.hacked") is None


def test_tools_are_listed_and_can_be_left_out(visit, agent_url, scripted):
    page = visit(agent_url).page
    page.locator("#tools-on").wait_for()
    page.locator("#tools-on").click()
    page.get_by_label("write_file").uncheck()
    page.keyboard.press("Escape")
    send(page, "hello")
    whole(page)
    names = [each["function"]["name"] for each in scripted.seen[-1][1].tools]
    assert "plot" in names and "write_file" not in names
    page.locator("#tools-on").click()
    page.get_by_label("Tools of this server").uncheck()
    page.keyboard.press("Escape")
    send(page, "hello again")
    page.wait_for_function(
        "() => document.querySelectorAll('.question').length === 2 && !document.querySelector('.running')"
    )
    assert not scripted.seen[-1][1].tools


REACHES_OUT = """() => {
  const note = document.querySelector(".server-tools .note.bad"); // drawn anew when the servers are asked again
  const text = document.createRange();
  text.selectNodeContents(note);
  return text.getBoundingClientRect().right - document.querySelector("#settings").getBoundingClientRect().right;
}"""


def test_a_server_that_failed_does_not_widen_the_settings(visit, agent_url):
    """Its cause may have a path or an address without a blank in it."""
    page = visit(agent_url).page
    cause = f'MCP server "far" did not start: its program "{"/usr/longfolder:" * 40}" is not there'
    far = {"name": "far", "state": "failed", "cause": cause, "tools": 0, "restarts": 0, "notes": [cause]}

    def with_it(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "servers": [far]})

    page.route("**/v1/agent/tools", with_it)
    page.reload()
    page.locator("#tools-on").click()
    page.locator(".note.bad", has_text="did not start").wait_for()
    assert page.evaluate(REACHES_OUT) < 0


def test_without_tools_the_page_knows_nothing_of_them(visit, scripted_url):
    page = visit(scripted_url).page
    assert not page.locator("#tools-on").is_visible()
    page.locator("#tune").click()
    page.get_by_label("Calculator").wait_for()
    assert not page.get_by_label("Tools of this server").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_cards_and_questions(visit, agent_url, axe, scheme):
    page = visit(agent_url, color_scheme=scheme).page
    send(page, "How did the temperatures in Lübeck develop this week?")
    page.wait_for_selector('.card.call[data-state="asking"]')
    page.wait_for_selector(".made img")
    assert not violations(page, axe)
    page.get_by_role("button", name="Once").click()
    page.wait_for_selector(".sources")
    send(page, "Let it fail")
    page.wait_for_selector('.card.call[data-state="failed"]')
    whole(page)
    assert not violations(page, axe)
    page.locator("#tools-on").click()
    page.get_by_role("checkbox", name="write_file").wait_for()
    assert not violations(page, axe)


def test_an_agent_s_conversation_is_exported_and_comes_back(visit, agent_url, tmp_path):
    page = visit(agent_url).page
    send(page, "How did the temperatures in Lübeck develop this week?")
    page.get_by_role("button", name="Once").click()
    page.wait_for_selector(".sources")
    page.wait_for_selector(".made img")
    shown = page.locator("#log").inner_text()
    with page.expect_download() as download:
        entry(page, "Export as JSON")
    download.value.save_as(tmp_path / "chats.json")
    entry(page, "Delete")
    page.locator("#import-file").set_input_files(tmp_path / "chats.json")
    page.wait_for_selector(".sources")
    page.wait_for_selector(".made img")
    assert page.locator("#log").inner_text() == shown
    text = (tmp_path / "chats.json").read_text(encoding="utf-8")
    broken = text.replace('"base64"', '"base65"')
    (tmp_path / "broken.json").write_text(broken, encoding="utf-8")
    page.locator("#import-file").set_input_files(tmp_path / "broken.json")
    shows(page.locator("#toast"), "calls")


def test_what_does_not_fit_the_context_is_told(visit, agent_url):
    page = visit(agent_url).page
    told = [
        {"kind": "run", "id": "run-1"},
        {
            "kind": "finished",
            "status": "finished",
            "stopped_reason": "context",
            "answer": "",
            "error": "longer than the context",
        },
    ]
    body = "".join(f"data: {json.dumps(each)}\n\n" for each in told) + "data: [DONE]\n\n"
    page.route("**/v1/agent/runs", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    send(page, "A long question")
    shows(page.locator(".problem"), "longer than the context")
