"""Interrupts that come at the worst moments of a command's event loop."""

import asyncio
import os
import signal
import threading
import time

import pytest
from sansi.serve.terminal import loop


def test_an_interrupt_while_the_loop_is_made_leaves_nothing_half_made(monkeypatch):
    make, made, begun = asyncio.new_event_loop, [], []

    def interrupted():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)  # for an interrupt that does not wait
        made.append(True)
        return make()

    async def main():
        begun.append(True)

    monkeypatch.setattr(asyncio.runners.events, "new_event_loop", interrupted)
    other = threading.Event()
    thread = threading.Thread(target=other.wait)  # one that takes the process's signals, as the engine's would
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run(main())
    finally:
        other.set()
        thread.join()
    assert made and not begun and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_results_and_errors_come_out():
    async def main(fail):
        await asyncio.sleep(0)
        if fail:
            raise ValueError("no")
        return 7

    assert loop.run(main(False)) == 7
    with pytest.raises(ValueError, match="no"):
        loop.run(main(True))
