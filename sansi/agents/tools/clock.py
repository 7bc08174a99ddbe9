"""`clock`: what time it is, here and elsewhere."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from sansi.agents.tool import Tool
from sansi.base.errors import SansiError

Now = Callable[[], datetime]
_TIME = re.compile(r"(?:(\d{4}-\d{2}-\d{2})[T ]?)?(?:(\d{1,2}:\d{2}(?::\d{2})?)(Z|[+-]\d{2}:?\d{2})?)?")


def clock_tool(now: Now = lambda: datetime.now().astimezone()) -> Tool:
    """The tool `clock`. now: the time, with its zone."""

    def clock(timezone: str = "", at: str = "", of: str = "") -> str:
        """Tell the date and the time now, with weekday, week and time zone; or convert a time between zones.

        Args:
            timezone: An IANA name such as Asia/Shanghai or America/New_York, or UTC; empty: the user's own.
            at: A time to convert instead of now, such as 2026-11-28 09:30 or 09:30.
            of: The time zone that `at` is in; empty: the user's own.
        """
        here = now()
        local = here.tzinfo or ZoneInfo("UTC")
        asked = _read(at, zone_of(of, local), here) if at.strip() else here
        return told(asked.astimezone(zone_of(timezone, local)), timezone.strip())

    return Tool.from_function(clock, timeout=5.0, origin="built-in", polling=True)


def tools(workspace: Any = None) -> list[Tool]:
    return [clock_tool()]


def told(time: datetime, zone: str = "") -> str:
    """A moment in words that leave nothing to work out."""
    offset = time.strftime("%z")
    name = zone or time.tzname() or ""
    _, week, _ = time.isocalendar()
    weekday = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[time.weekday()]
    shown = f"{time:%Y-%m-%dT%H:%M:%S}{offset[:3]}:{offset[3:5]}"
    return f"{weekday}, {shown} ({name}), week {week}, day {time.timetuple().tm_yday} of {_days(time.year)}"


def zone_of(name: str, local: tzinfo) -> tzinfo:
    """Raises SansiError for a zone that is not known."""
    name = name.strip()
    if not name or name.lower() in ("local", "here"):
        return local
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    known = _zones()
    found = known.get(name.lower().replace(" ", "_")) or known.get(name.lower().replace(" ", "_").rpartition("/")[2])
    if found is not None:
        return ZoneInfo(found)
    near = difflib.get_close_matches(name.lower()[:60], known, n=1)
    hint = f'; did you mean "{known[near[0]]}"?' if near else "; use an IANA name such as Asia/Shanghai, or UTC"
    raise SansiError(f'the time zone "{name[:60]}" is not known{hint}', param="timezone")


@cache
def _zones() -> dict[str, str]:
    """By name and by city, in lower case; of several cities of a name the first in the alphabet."""
    names = sorted(available_timezones())
    cities = {name.lower().rpartition("/")[2]: name for name in reversed(names) if "/" in name}
    return cities | {name.lower(): name for name in names}


def _read(text: str, zone: tzinfo, here: datetime) -> datetime:
    found = _TIME.fullmatch(text.strip())
    try:
        if found is None or not any(found.groups()):
            raise ValueError("it has no such form")
        day = date.fromisoformat(found[1]) if found[1] else here.astimezone(zone).date()
        clock = datetime.strptime(
            found[2] or "0:00", "%H:%M:%S" if (found[2] or "").count(":") == 2 else "%H:%M"
        ).time()
        if found[3]:
            return datetime.fromisoformat(f"{day}T{clock}{found[3]}")
        return _existing(datetime.combine(day, clock, zone))
    except ValueError as error:
        raise SansiError(f'"{text[:60]}" is no time like 2026-11-28 09:30 or 09:30: {error}', param="at") from error


def _existing(time: datetime) -> datetime:
    """A time that the clocks leap over in spring is the one that they show instead."""
    utc = ZoneInfo("UTC")
    return time.astimezone(utc).astimezone(time.tzinfo)


def _days(year: int) -> int:
    return (date(year, 12, 31) - date(year, 1, 1) + timedelta(1)).days
