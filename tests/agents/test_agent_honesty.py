"""Calls that are planned or claimed and not made: found in English and Chinese, asked for once, counted."""

import pytest
from sansi.agents import Agent, Tool, calculator
from sansi.agents.loop.honesty import unmade
from sansi.text import Message, ToolCall
from scripted_client import QUESTION, Script, calls, compute, says


def named(name, *effects):
    return Tool.from_function(lambda: "ok", name=name, description="A tool.", effects=effects or ("read",))


TOOLS = {
    tool.name: tool
    for tool in (
        named("calculator"),
        named("web_search", "network"),
        named("send_email"),
        named("write_file", "write"),
        named("time"),
    )
}
PLANNED = [
    "I'm now calling the calculator.",
    "Calling calculator with the numbers.",
    "Searching the web for it now.",
    "Okay, checking the database.",
    "Thought: this needs arithmetic.\nAction: calculator\nAction Input: 17*23",
    "正在调用计算器……",
    "Let me check the weather for you.",
    "I'll use the calculator to compute this.",
    "To find out, I will now search for the latest figures:",
    "That is a good question. I need to look up the exchange rate first.",
    "I'm going to call `web_search` with this query.",
    "Let's run the calculation.",
    "Please wait while I check the database.",
    "One moment, please.",
    "Give me a second to look that up.",
    "Sure! Please hold on.",
    "好的，我来查一下天气。",
    "请稍等，我查一下。",
    "好的，请稍等。",
    "我帮您搜索一下最新的消息。",
    "我将使用计算器计算这个结果。",
    "让我先搜索一下相关资料：",
    "接下来我会调用 web_search 工具。",
    '<tool_call>\n{"name": "calculator", "arguments": {"expression": "1+1"}}',
    'Action: {"name": "calculator", "arguments": {"expression": "1+1"}}',
    '```json\n{"name": "calculator", "parameters": {"expression": "1+1"}}\n```',
]
CLAIMED = [
    "Email sent to Bob!",
    "File saved.",
    "Using the calculator, 17*23 = 391.",
    "I used the calculator, and the result is 391.",
    "According to the web_search results, it is sunny.",
    "The calculator returned 391.",
    "I have searched the web and found nothing.",
    "I've sent the email to Anna.",
    "I have saved the summary in the file notes.txt.",
    "The file notes.txt has been deleted.",
    "Your order has been successfully cancelled.",
    "I have sent the email and will keep you posted.",
    "我已经使用calculator计算出结果是391。",
    "邮件已发送给安娜。",
    "我已成功将文件保存到 notes.txt。",
    "我查询了天气，今天是晴天。",
]
NEITHER = [
    "17 * 23 = 391.",
    "Let me know if you need anything else.",
    "Please tell me the city, and I'll check the weather.",
    "It takes one second per file.",
    "At that moment the signal is low.",
    "请看一下附件。",
    "您可以看一下说明书。",
    "If you like, I can search for more.",
    "If you give me the city, I'll check the weather.",
    "Would you like me to send it?",
    "Shall I look it up?",
    "I'll need your order number first.",
    "I will check it once you send me the file.",
    "I could not send the email.",
    "I have not searched the web.",
    "I have written a short poem for you.",
    "Here is the message; I have written a draft of the email below.",
    "The function returned by `make` is a closure.",
    "I used the time to think about it.",
    'She said "I have sent the email" and left.',
    "You can run it with ```python\nlet me check\n```",
    "如果您需要，我可以帮您查询。",
    "请告诉我城市，我来查天气。",
    "邮件尚未发送。",
    "要不要我查一下？",
    "答案是 391。",
    "我无法发送邮件。",
]


def found(text, *history, tools=TOOLS):
    return unmade(Message("assistant", text), history, tools)


@pytest.mark.parametrize("text", PLANNED)
def test_a_plan_without_a_call_is_found(text):
    assert found(text) and found(text).kind == "planned"


@pytest.mark.parametrize("text", CLAIMED)
def test_a_claim_without_a_call_is_found(text):
    assert found(text) and found(text).kind == "claimed"


@pytest.mark.parametrize("text", NEITHER)
def test_what_is_neither_is_left_alone(text):
    assert found(text) is None


@pytest.mark.parametrize("text", [*PLANNED, *CLAIMED])
def test_without_tools_nothing_is_looked_for(text):
    assert found(text, tools={}) is None


def made(name, content="done"):
    call = ToolCall("c", name, "{}")
    return Message("assistant", "", None, (call,)), Message("tool", content, tool_call_id="c", name=name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("I used the calculator, and the result is 391.", "calculator"),
        ("I have searched the web and found nothing.", "web_search"),
        ("I've sent the email to Anna.", "send_email"),
        ("I have saved the summary in the file notes.txt.", "write_file"),
        ("邮件已发送给安娜。", "send_email"),
        ("我已成功将文件保存到 notes.txt。", "write_file"),
    ],
)
def test_a_claim_that_a_call_backs_is_none(text, name):
    assert found(text, *made(name)) is None
    assert found(text, *made(name, "error: it failed")).kind == "claimed"  # a call that failed backs nothing


def test_a_call_of_another_tool_backs_no_claim():
    assert found("I've sent the email to Anna.", *made("calculator")).kind == "claimed"
    assert found("I used the calculator.", *made("web_search")).kind == "claimed"


def test_a_plan_that_is_carried_out_in_the_text_is_none():
    assert found("Let me compute: 17 * 23 is 391. So the answer is 391.") is None


def test_a_long_text_takes_no_time():
    for text in ("已" * 20_000, "I have just " * 5_000, "let me now " * 5_000, "file " * 10_000, '{"name"' * 5_000):
        found(text)


def run(*replies, **fields):
    script = Script(*replies)
    events = list(Agent(script, [Tool.from_function(calculator)], **fields).stream(QUESTION))
    return events[-1].run, script, [event.details for event in events if event.kind == "notice"]


def test_a_plan_is_asked_for_once_more():
    done, script, notices = run(says("Let me compute that."), calls(compute("17*23")), says("391"))
    assert (done.answer, done.stopped_reason) == ("391", "answer")
    asked = script.seen[1][0][-1]
    assert asked.role == "user" and "Let me compute that." in asked.content and "no tool call" in asked.content
    assert (done.report.planned_unmade, done.report.claimed_unmade, done.report.asked_again) == (1, 0, 1)
    assert notices == [{"claim": "planned"}]


def test_it_is_asked_once_and_counted_each_time():
    done, script, _ = run(says("我来查一下。"), says("The calculator returned 391."))
    assert (done.answer, len(script.seen)) == ("The calculator returned 391.", 2)
    assert "没有调用任何工具" in script.seen[1][0][-1].content
    assert (done.report.planned_unmade, done.report.claimed_unmade, done.report.asked_again) == (1, 1, 1)


def test_it_can_be_switched_off_and_is_counted_still():
    done, script, notices = run(says("Let me compute that."), ask_again=False)
    assert (len(script.seen), done.report.planned_unmade, notices) == (1, 1, [])


def test_the_loops_own_request_is_not_the_users_word():
    script = Script(says("Let me check that for you."), says("391"))
    done = Agent(script, [Tool.from_function(calculator)]).run(QUESTION)
    assert [(m.role, m.origin) for m in done.messages if m.role == "user"] == [("user", None), ("user", "the loop")]
