"""What runs on another thread's loop is awaited, fails and is cancelled as if it ran on one's own."""

import asyncio
import inspect
import threading

import pytest

pytest.importorskip("mcp", reason="the extra `agents` is not installed")

from sansi.agents.mcp.across import across


@pytest.fixture
def other():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _here():
    await asyncio.sleep(0)
    return threading.get_ident()


async def _fails():
    raise KeyError("x")


def test_the_result_comes_from_the_other_thread(other):
    assert asyncio.run(across(other.call_soon_threadsafe, _here())) not in (None, threading.get_ident())


def test_an_error_reaches_who_waits(other):
    with pytest.raises(KeyError, match="x"):
        asyncio.run(across(other.call_soon_threadsafe, _fails()))


def test_who_no_longer_waits_cancels_it(other):
    begun, ended = threading.Event(), threading.Event()

    async def waits():
        begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()

    async def gives_up():
        waiting = asyncio.create_task(across(other.call_soon_threadsafe, waits()))
        await asyncio.to_thread(begun.wait, 60)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(gives_up())
    assert ended.wait(60)


def test_what_is_cancelled_there_is_cancelled_here(other):
    async def cancels_itself():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async def waits():
        with pytest.raises(asyncio.CancelledError):
            await across(other.call_soon_threadsafe, cancels_itself())

    asyncio.run(waits())


def test_what_cannot_be_begun_any_more_is_an_error_at_once():
    loop = asyncio.new_event_loop()
    loop.close()
    work = _here()
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(across(loop.call_soon_threadsafe, work))
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
