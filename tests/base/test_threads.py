"""Only the thread that asks for it runs torch's operators alone."""

import threading

import torch
from sansi.base.threads import run_operators_alone


def in_a_thread(function):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function()))
    thread.start()
    thread.join()
    return answers[0]


def test_only_the_thread_that_asks_is_alone():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)

        def alone():
            run_operators_alone()
            later = in_a_thread(torch.get_num_threads)
            return torch.get_num_threads(), later

        assert in_a_thread(alone) == (1, 3)
        assert torch.get_num_threads() == 3 == in_a_thread(torch.get_num_threads)
    finally:
        torch.set_num_threads(before)
