"""Best-fit packing: which items share a row."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from heapq import heappop, heappush


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Pack items into bins: each in its turn goes into the fullest bin that still has room for it.

    Returns the bins in the order they were opened, each a list of indices into `lengths`. Of bins with the same room
    the oldest is taken. O(log(capacity)) an item: there are no more different rooms than that.
    """
    bins: list[list[int]] = []
    rooms: list[int] = []  # the different amounts of space that some bin has left, ascending
    holders: dict[int, list[int]] = {}  # of each of them a heap of bins
    for index, length in enumerate(lengths):
        assert 0 < length <= capacity
        found = bisect_left(rooms, length)
        if found < len(rooms):
            space = rooms[found]
            number = heappop(holders[space])
            if not holders[space]:
                del rooms[found], holders[space]
        else:
            space, number = capacity, len(bins)
            bins.append([])
        bins[number].append(index)
        if left := space - length:
            if left not in holders:
                holders[left] = []
                insort(rooms, left)
            heappush(holders[left], number)
    return bins


def best_fit_decreasing(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """`best_fit` of the items from the longest to the shortest, which leaves the least padding.

    Inside a bin the items keep their order in `lengths`.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    packed = best_fit([lengths[index] for index in order], capacity)
    return [sorted(order[place] for place in places) for places in packed]
