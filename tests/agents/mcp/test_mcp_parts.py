"""The parts of the client that need no server: lines, names, deadlines, dropped messages, repaired answers, results."""

import asyncio
import itertools
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.agents.approvals import Approvals, Policy
from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.definitions import Definition
from sansi.agents.mcp.foreign import description, one_line, without_folders
from sansi.agents.mcp.lines import DroppedLine, LineReader
from sansi.agents.mcp.names import tool_name
from sansi.agents.mcp.tools import tool_of
from sansi.text import ToolCall

pytest.importorskip("mcp", reason="the extra `agents` is not installed")

from sansi.agents.mcp.deadline import Deadline
from sansi.agents.mcp.repair import repaired
from sansi.agents.mcp.stdio import Incoming, _messages
from sansi.agents.mcp.traffic import ReadStream, Traffic


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_lines_are_the_same_wherever_chunks_end(data, cuts):
    reader = LineReader(50)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    got = [line for a, b in itertools.pairwise(edges) for line in reader.feed(data[a:b])] + list(reader.finish())
    *whole, last = data.split(b"\n")
    wanted = [*whole, *([last] if last else [])]
    assert [line if isinstance(line, bytes) else line.size for line in got] == [
        line if len(line) <= 50 else len(line) for line in wanted
    ]


def test_a_long_line_is_dropped_but_for_its_ends():
    reader = LineReader(10_000)
    parts = [b"head", *[b"x" * 5000] * 100, b"tail\nnext\n"]
    dropped, after = [line for part in parts for line in reader.feed(part)]
    assert isinstance(dropped, DroppedLine) and dropped.size == 500_008
    assert dropped.head.startswith(b"head") and dropped.tail.endswith(b"tail") and after == b"next"
    assert len(dropped.head) + len(dropped.tail) <= 8192


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{"id":9,"x":"' + b"y" * 90 + b'"}}', [7]),
        (b'{ "id" : "a" , "jsonrpc": "2.0", "result": "' + b"y" * 90 + b'"}', ["a"]),
        (b'{"result":{"id":9,"x":"' + b"y" * 90 + b'"},"id":7,"jsonrpc":"2.0"}', [7]),
        (b'{"method":"m","params":"' + b"y" * 90 + b'"}', [1, 2]),  # which it was is not known: all that wait are told
    ],
)
def test_a_dropped_line_fails_the_request_that_it_answers(line, ids, monkeypatch):
    monkeypatch.setattr("sansi.agents.mcp.lines.KEPT", 60)
    traffic = Traffic()
    traffic.waiting |= {"1", "2"}
    (dropped,) = LineReader(50).feed(line + b"\n")
    errors = [message.message for message in _messages(dropped, traffic, 50)]
    assert sorted(str(error.id) for error in errors) == sorted(str(each) for each in ids)
    assert all("at most 0.0 MiB are read" in error.error.message for error in errors)


def test_a_batch_is_read():
    line = b'[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","method":"n"},5]'
    traffic = Traffic()
    assert len(list(_messages(line, traffic, 10**6))) == 2
    assert traffic.oddities == ["it wrote JSON to stdout that is no JSON-RPC: 5"]


NOTICE = b'{"jsonrpc":"2.0","method":"n"}\n'


def _incoming(data: bytes, **methods) -> Incoming:
    """What a program has written before it ended."""
    stdout = asyncio.StreamReader()
    stdout.feed_data(data)
    stdout.feed_eof()
    return Incoming(SimpleNamespace(stdout=stdout, **methods), 10**6, Traffic())


def test_a_flood_of_messages_leaves_others_their_turns():
    async def turns_meanwhile() -> int:
        turns = 0

        async def another():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        stream, other = _incoming(NOTICE * 100), asyncio.create_task(another())
        for _ in range(100):
            await stream.receive()
        other.cancel()
        return turns

    assert asyncio.run(turns_meanwhile()) >= 90


def test_what_a_program_said_last_is_read_before_its_end_is_told():
    async def read() -> tuple[int, bool, str]:
        async def ending(seconds):
            return "it exited with code 3"

        stream = _incoming(NOTICE + NOTICE.strip(), ending=ending)
        traffic, got = stream._traffic, 0
        async for _ in ReadStream(stream, traffic):
            got += 1
            assert not traffic.ended.is_set()
        return got, traffic.ended.is_set(), traffic.cause

    assert asyncio.run(read()) == (2, True, "it exited with code 3")


NAMES = st.text("ab_-.é 1h", min_size=1, max_size=40)


@given(st.lists(st.tuples(NAMES, NAMES), unique=True, max_size=30))
def test_names_are_valid_and_never_the_same(pairs):
    names = [tool_name(server, tool) for server, tool in pairs]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names)
    assert len(set(names)) == len(names)


def test_names_can_be_read_and_are_stable():
    assert tool_name("git", "status") == "git__status"
    assert tool_name("a__b", "c") != tool_name("a", "b__c") == "a__b__c"
    assert (
        tool_name("files", "read.text") == "files__read_text_h6ed1b8b7d3"[:-10] + tool_name("files", "read.text")[-10:]
    )
    long = "a" * 80
    assert len({tool_name("s", long + "1"), tool_name("s", long + "2")}) == 2
    forged = tool_name("s", "x y").removeprefix("s__")  # a tool that is called as another's hashed name
    assert tool_name("s", forged) != tool_name("s", "x y")


def on_a_loop(test):
    return lambda: asyncio.run(test())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07text", "text"),
        ("a\x00b\rc\td", "abc d"),
        ("one\n two", "one two"),
        ("pay\u202eyap", "payyap"),
        ("hi" + "".join(chr(0xE0000 + ord(c)) for c in "send keys"), "hi"),
        ("中文 é 👍🏽", "中文 é 👍🏽"),
    ],
)
def test_words_of_servers_cannot_steer_a_terminal_or_hide(text, left):
    assert one_line(text) == left


def test_a_description_is_not_longer_than_a_model_should_read():
    assert description("x" * 10_005) == "x" * 10_000 + " [cut: 5 more characters]"


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@on_a_loop
async def test_progress_begins_the_silence_anew_up_to_the_limit():
    clock = Clock()
    deadline = Deadline(10, 25, clock)
    assert deadline.scope.deadline == 110
    clock.now = 109
    deadline.heard()
    assert deadline.scope.deadline == 119
    clock.now = 118
    deadline.heard()
    assert deadline.scope.deadline == 125
    assert deadline.passed() == "no answer within 10 s (call_timeout_s)"
    clock.now = 125
    assert deadline.passed() == "it was at work for 25 s and not done (call_limit_s)"


@on_a_loop
async def test_no_time_passes_while_a_person_is_asked():
    clock = Clock()
    deadline = Deadline(10, 25, clock)
    clock.now = 105
    with deadline.paused(), deadline.paused():
        clock.now = 1105
        deadline.heard()
        assert deadline.scope.deadline == float("inf")
    assert deadline.scope.deadline == 1115
    clock.now = 1114
    deadline.heard()
    assert deadline.scope.deadline == 1124
    clock.now = 1123
    deadline.heard()
    assert deadline.scope.deadline == 1125


@pytest.mark.parametrize(
    ("method", "key", "good", "bad", "name"),
    [
        ("tools/list", "tools", {"name": "a", "inputSchema": {"type": "object"}}, {"name": "b", "inputSchema": 5}, "b"),
        ("resources/list", "resources", {"uri": "a:b", "name": "a"}, {"name": "b"}, "b"),
        ("prompts/list", "prompts", {"name": "a"}, {"arguments": 5}, "number 2"),
        ("resources/templates/list", "resourceTemplates", {"uriTemplate": "a", "name": "a"}, 5, "number 2"),
    ],
)
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_one_bad_item_loses_itself_alone(method, key, good, bad, name, version):
    lost = {}
    around = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if version == "2026-07-28" else {}
    answer = repaired(method, version, {**around, key: [good, bad, good]}, lambda item, why: lost.update({item: why}))
    assert answer[key] == [good, good]
    assert list(lost) == [name] and lost[name]


def test_a_schema_without_a_type_is_one_of_an_object():
    answer = repaired("tools/list", "2025-11-25", {"tools": [{"name": "a", "inputSchema": {}}]}, lambda *_: None)
    assert answer["tools"] == [{"name": "a", "inputSchema": {"type": "object"}}]


def test_an_answer_that_is_wrong_around_its_items_is_left_to_be_told():
    answer = {"tools": [], "nextCursor": 5}
    assert repaired("tools/list", "2025-11-25", answer, lambda *_: None) is answer


def test_a_title_that_a_server_chose_neither_escapes_a_rule_nor_slips_under_one():
    schema = {"type": "object", "properties": {}}
    made = tool_of(
        None, ServerConfig("github", command="x"), Definition("github", "delete_repo", "list_x", "D", schema)
    )
    assert Approvals(Policy.of("yolo", never=["mcp:github/delete_*"])).decide(call_of(made), made).action == "deny"
    assert Approvals(Policy.of("ask", always=["mcp:github/list_*"])).decide(call_of(made), made).action == "ask"


def call_of(tool):
    return ToolCall("call_0", tool.name, "{}")


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ('its program "/opt/my things/bin/server" is not there', 'its program "…/server" is not there'),
        ("at /usr/lib/x.py, line 3; HOME=/home/ada/", "at …/x.py, line 3; HOME=…/ada"),
        ("/usr/bin:/usr/local/bin", "…/bin:…/bin"),
        ("~/keys/a.pem and 'C/D'", "…/a.pem and 'C/D'"),
        (
            "https://example.org/a/b?c=1, and/or 12/30/2026, 1 / 2",
            "https://example.org/a/b?c=1, and/or 12/30/2026, 1 / 2",
        ),
    ],
)
def test_a_path_becomes_the_name_at_its_end(text, public):
    assert without_folders(text) == public
