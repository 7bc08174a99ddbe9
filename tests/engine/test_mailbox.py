"""The way from the stepping thread into an event loop: nothing is lost or reordered, and few wake-ups are needed."""

import asyncio
import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.engine.mailbox import Mailbox, Stream, merged
from sansi.engine.results import Completion, Delta, ThinkingReport, Usage

END = Completion((), None, "stop", ThinkingReport(), Usage(1, 0), seed=0)


@given(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=6), st.booleans(), st.booleans())
def test_what_is_merged_is_the_same_news(pieces, scored, ended):
    items = [Delta(tuple(ids), tuple(map(float, ids)) if scored else None) for ids in pieces]
    found = merged([*items, *([END] if ended else [])])
    deltas = [item for item in found if isinstance(item, Delta)]
    assert len(deltas) == min(len(items), 1) and len(found) == len(deltas) + ended
    if deltas:
        assert deltas[0].ids == tuple(token for ids in pieces for token in ids)
        assert deltas[0].logprobs == (tuple(map(float, deltas[0].ids)) if scored else None)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8), st.integers(1, 300), st.integers(0, 50))
def test_nothing_is_lost_or_reordered(streams, tokens, every):
    async def main():
        mailbox = Mailbox(asyncio.get_running_loop())
        mailbox.open = streams
        opened = [Stream(mailbox) for _ in range(streams)]
        thread = threading.Thread(target=speak, args=(opened, tokens, every))
        thread.start()
        return await asyncio.wait_for(asyncio.gather(*map(listen, opened)), 20)

    for heard in asyncio.run(main()):
        assert heard == list(range(tokens))


def speak(streams, tokens, every):
    for token in range(tokens):
        for stream in streams:
            stream.post(Delta((token,), None))
        if every and token % every == 0:
            time.sleep(0.0005)
    for stream in streams:
        stream.post(END)


async def listen(stream):
    heard = []
    while True:
        for item in await stream.take():
            if item is END:
                return heard
            heard += item.ids


def test_many_streams_wake_the_loop_seldom_and_the_first_token_at_once():
    async def main():
        loop, wakes = asyncio.get_running_loop(), []
        mailbox = Mailbox(loop)
        mailbox.open = 32
        opened = [Stream(mailbox) for _ in range(32)]
        first = asyncio.gather(*(stream.take() for stream in opened))
        begun = loop.time()
        for stream in opened:
            stream.post(Delta((0,), None))
        await first
        assert loop.time() - begun < 0.05
        for stream in opened:
            stream.deliver = lambda stream=stream: wakes.append(stream)
        for token in range(40):  # a step each 2 ms
            for stream in opened:
                stream.post(Delta((token,), None))
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.05)
        return len(wakes) / 32

    assert 2 <= asyncio.run(main()) <= 20, "40 steps, but a delivery each 32 ms"
