"""The clock: now, elsewhere, and converted; with a time that stands still."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sansi.agents.tools.clock import clock_tool, tools

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))


def asked(**arguments: str) -> str:
    return clock_tool(lambda: NOON).call(json.dumps(arguments)).text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "Saturday, 2026-11-28T12:00:00+01:00 (CET), week 48, day 332 of 365"),
        ({"timezone": "UTC"}, "Saturday, 2026-11-28T11:00:00+00:00 (UTC), week 48, day 332 of 365"),
        ({"timezone": "Asia/Shanghai"}, "Saturday, 2026-11-28T19:00:00+08:00 (Asia/Shanghai)"),
        ({"timezone": "asia/shanghai"}, "T19:00:00+08:00"),
        ({"timezone": "Shanghai"}, "T19:00:00+08:00"),
        ({"timezone": "New York"}, "T06:00:00-05:00"),
        ({"timezone": "Asia/Kolkata"}, "T16:30:00+05:30"),
        ({"timezone": "Pacific/Auckland"}, "Sunday, 2026-11-29T00:00:00+13:00"),
        ({"timezone": "local"}, "T12:00:00+01:00"),
        ({"at": "09:30", "timezone": "UTC"}, "2026-11-28T08:30:00+00:00"),
        ({"at": "9:30", "of": "America/New_York"}, "2026-11-28T15:30:00+01:00"),
        ({"at": "2026-07-01 09:30", "of": "Asia/Tokyo", "timezone": "UTC"}, "Wednesday, 2026-07-01T00:30:00+00:00"),
        (
            {"at": "2024-02-29T23:59:59Z", "timezone": "UTC"},
            "Thursday, 2024-02-29T23:59:59+00:00 (UTC), week 9, day 60",
        ),
        ({"at": "2026-01-01T00:00+09:00", "timezone": "UTC"}, "2025-12-31T15:00:00+00:00"),
        ({"at": "2026-03-29 02:30", "of": "Europe/Berlin", "timezone": "Europe/Berlin"}, "2026-03-29T03:30:00+02:00"),
        ({"at": "2027-01-01", "timezone": ""}, "2027-01-01T00:00:00+01:00"),
    ],
)
def test_times(arguments, said):
    assert said in asked(**arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"timezone": "Asia/Shangai"}, 'the time zone "Asia/Shangai" is not known; did you mean "Asia/Shanghai"?'),
        ({"timezone": "../../etc/passwd"}, "is not known"),
        ({"timezone": "Mars"}, "is not known"),
        ({"at": "half past nine"}, "is no time like 2026-11-28 09:30"),
        ({"at": "2026-02-30 10:00"}, "is no time like"),
        ({"at": "25:00"}, "is no time like"),
        ({"at": "09:30", "of": "Nowhere/City"}, "is not known"),
    ],
)
def test_what_is_no_time_or_zone(arguments, said):
    assert said in asked(**arguments)


def test_the_tool():
    [tool] = tools()
    assert (tool.name, tool.effects, tool.origin, tool.tainted, tool.polling) == (
        "clock", {"read"}, "built-in", False, True,
    )  # fmt: skip
    assert str(datetime.now(UTC).year) in tool.call("{}").text
