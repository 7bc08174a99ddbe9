"""Tools that the server runs itself: the calculator, for the chat page and whoever else asks."""

import pytest
from live_server import http, running
from sansi.agents import calculator
from sansi.serve.http.settings import Keys


def test_the_calculator_is_listed_as_a_tool_and_runs(fake_url):
    [tool] = http.get(f"{fake_url}/v1/tools").json()["data"]
    assert tool["type"] == "function" and tool["function"]["name"] == "calculator"
    said = http.post(f"{fake_url}/v1/tools/calculator", content='{"expression": "(17 * 23 - 4) / 3"}').json()
    assert said == {"object": "tool_result", "content": calculator("(17 * 23 - 4) / 3"), "status": "ok"}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [('{"expression": "1/0"}', "error"), ('{"expression": 7', "invalid_arguments"), ("{}", "invalid_arguments")],
)
def test_what_is_wrong_with_a_call_is_a_result(fake_url, arguments, status):
    said = http.post(f"{fake_url}/v1/tools/calculator", content=arguments)
    assert said.status_code == 200 and said.json()["status"] == status and said.json()["content"].startswith("error: ")


def test_an_unknown_tool_is_named(fake_url):
    error = http.post(f"{fake_url}/v1/tools/shell", content="{}")
    assert error.status_code == 404 and error.json()["error"]["message"] == (
        'there is no tool "shell" here; there are: calculator'
    )


def test_tools_ask_for_the_key(fake):
    with running([fake], keys=Keys(["open-sesame-and-more"])) as url:
        assert http.post(f"{url}/v1/tools/calculator", content="{}").status_code == 401
