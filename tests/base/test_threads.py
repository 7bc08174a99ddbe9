"""Only the thread that asks for it runs torch's operators alone."""

import threading

import pytest
import torch
from sansi.base import threads


@pytest.fixture(autouse=True)
def three_threads():
    if threads._openmp() is None:
        pytest.skip("this torch comes without GNU's OpenMP")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def in_threads(*functions):
    """What each function returns, all in threads of their own at the same time."""
    answers, ready = {}, threading.Barrier(len(functions))

    def run(index):
        ready.wait()
        answers[index] = functions[index]()

    each = [threading.Thread(target=run, args=(index,)) for index in range(len(functions))]
    for thread in each:
        thread.start()
    for thread in each:
        thread.join()
    return [answers[index] for index in range(len(functions))]


def alone():
    threads.run_operators_alone()
    return torch.get_num_threads()


def test_only_the_thread_that_asks_is_alone():
    assert in_threads(alone) == [1]
    assert torch.get_num_threads() == 3 and in_threads(torch.get_num_threads) == [3]


def test_threads_that_start_meanwhile_keep_the_default():
    for _ in range(30):
        assert in_threads(alone, torch.get_num_threads, alone, torch.get_num_threads) == [1, 3, 1, 3]
    assert in_threads(torch.get_num_threads) == [3]
