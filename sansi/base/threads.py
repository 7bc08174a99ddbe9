"""How many threads torch's operators use, for one thread that calls them."""

from __future__ import annotations

import threading


def run_operators_alone() -> None:
    """From now on torch's operators that this thread calls run on it alone; all other threads keep what they have.

    For a thread that works beside a team of threads of its own: those of torch's OpenMP keep spinning for a while after
    each operator, on the cores that the team wants next.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # of this thread, and the default of threads that call torch for the first time later
    others = threading.Thread(target=torch.set_num_threads, args=(before,))
    others.start()
    others.join()
