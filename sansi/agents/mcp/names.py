"""Names of tools of many servers: `SERVER__TOOL`, at most 64 characters, never two tools of one name.

A name that is too long, or that had characters which models' APIs refuse, ends in `_h` and ten digits of a hash of the
whole; so does one that could be read as another server's. The same server and tool always give the same name.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 64
_HASHED = re.compile(r"_h[0-9a-f]{10}$")


def tool_name(server: str, tool: str) -> str:
    """The name under which a model knows a server's tool."""
    plain = f"{server}__{tool}"
    kept = re.sub(r"[^A-Za-z0-9_-]", "_", plain)
    readable_alone = "__" not in server and not server.endswith("_") and not _HASHED.search(plain)
    if kept == plain and len(plain) <= LONGEST and readable_alone:
        return plain
    digest = hashlib.sha256(f"{server}\0{tool}".encode()).hexdigest()[:10]
    return f"{kept[: LONGEST - 12].rstrip('_') or 'tool'}_h{digest}"
