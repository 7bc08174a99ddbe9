"""How many threads can really run at once, and which processors are one core's."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
TOPOLOGY = Path("/sys/devices/system/cpu")


def available_cores() -> int:
    """Physical cores that this process may use: by affinity, one thread each, and within a container's CPU quota."""
    cores, quota = processors(), _quota()
    return max(1, len(cores) if quota is None else min(len(cores), math.ceil(quota)))


def processors() -> list[tuple[int, ...]]:
    """The processors that this process may use, those of one core together, neighbouring cores beside each other."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores: dict[str, list[int]] = {}
    for cpu in sorted(allowed):
        cores.setdefault(_core_of(cpu), []).append(cpu)
    return [tuple(cpus) for cpus in cores.values()]


def _core_of(cpu: int) -> str:
    """A name that the hardware threads of one core share."""
    try:
        return (TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> float | None:
    """CPUs that the container's limit allows (cgroup version 2, then 1); None: no limit."""
    try:
        limit, period = (CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (CGROUP / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (CGROUP / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if limit in ("max", "-1") else int(limit) / int(period)
