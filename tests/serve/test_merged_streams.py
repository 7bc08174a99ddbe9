"""Several streams as one: every item once and in the order of its stream, and nothing left running."""

import asyncio

import pytest
from sansi.serve.api.merged_streams import Merged


class Counting:
    """Streams of numbers, some of which fail; it knows which were closed."""

    def __init__(self, fail=None):
        self.closed, self.fail = set(), fail

    async def stream(self, index, count):
        try:
            for number in range(count):
                if (index, number) == self.fail:
                    raise ValueError("broken")
                await asyncio.sleep(0.001 * ((index + number) % 3))
                yield number
        finally:
            self.closed.add(index)


@pytest.mark.parametrize("lengths", [[4], [0], [3, 40, 0, 7]])
def test_every_item_comes_once_and_in_order(lengths):
    async def read():
        counting = Counting()
        merged = Merged([counting.stream(i, n) for i, n in enumerate(lengths)])
        items = [item async for item in merged]
        await merged.aclose()
        return items, counting.closed

    items, closed = asyncio.run(read())
    for index, count in enumerate(lengths):
        assert [number for i, number in items if i == index] == list(range(count))
    assert closed == set(range(len(lengths)))


@pytest.mark.parametrize("count", [1, 3])
def test_the_first_error_is_raised_and_all_are_closed(count):
    async def read():
        counting = Counting(fail=(0, 2))
        merged = Merged([counting.stream(i, 1000) for i in range(count)])
        try:
            with pytest.raises(ValueError, match="broken"):
                async for _ in merged:
                    pass
        finally:
            await merged.aclose()
        return counting.closed, len(asyncio.all_tasks())

    closed, tasks = asyncio.run(read())
    assert closed == set(range(count)) and tasks == 1


@pytest.mark.parametrize("count", [1, 3])
def test_leaving_early_closes_all(count):
    async def read():
        counting = Counting()
        merged = Merged([counting.stream(i, 1000) for i in range(count)])
        async for _ in merged:
            break
        await merged.aclose()
        await merged.aclose()
        return counting.closed, len(asyncio.all_tasks())

    assert asyncio.run(read()) == (set(range(count)), 1)


def test_a_reader_that_waits_holds_the_streams_back():
    async def read():
        counting, made = Counting(), []

        async def endless(index):
            async for number in counting.stream(index, 10**6):
                made.append(number)
                yield number

        merged = Merged([endless(0), endless(1)])
        iterator = aiter(merged)
        await anext(iterator)
        await asyncio.sleep(0.3)
        count = len(made)
        await merged.aclose()
        return count

    assert asyncio.run(read()) < 50
