"""Interrupts that come at the worst moments of a command's event loop."""

import asyncio
import os
import signal

import pytest
from sansi.serve.terminal import loop


def test_an_interrupt_while_the_loop_is_made_leaves_nothing_half_made(monkeypatch):
    make, made, begun = asyncio.new_event_loop, [], []

    def interrupted():
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # a blocked signal stays out however long this takes
            pass
        made.append(True)
        return make()

    async def main():
        begun.append(True)

    monkeypatch.setattr(asyncio.runners.events, "new_event_loop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.run(main())
    assert made and not begun and signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_results_and_errors_come_out():
    async def main(fail):
        await asyncio.sleep(0)
        if fail:
            raise ValueError("no")
        return 7

    assert loop.run(main(False)) == 7
    with pytest.raises(ValueError, match="no"):
        loop.run(main(True))
