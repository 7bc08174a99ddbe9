"""`sansi agent` on a real pseudo-terminal: a key answers a question, Ctrl-C stops, Shift-Tab changes the mode."""

from __future__ import annotations

import pytest

pytest.importorskip("pty")
from test_serve_terminal_tty import Terminal

CODE = """
import sys
from pathlib import Path
from agent_setup import setup_of
from scripted_client import says, several
from sansi.serve.terminal.agent.chat import AgentChat

put = several(("put", {"path": "a.txt", "text": "hello"}))
setup = setup_of(Path(sys.argv[1]), put, put, says("Written."), several(("wait", {})))
AgentChat(setup, setup.begin()).run()
print("left")
"""


@pytest.fixture
def terminal(tmp_path):
    opened = Terminal(tmp_path, str(tmp_path), code=CODE)
    yield opened
    opened.close()


def test_keys_answer_ctrl_c_stops_and_shift_tab_changes_the_mode(terminal):
    terminal.expect("mode ask")
    terminal.press("\x1b[Z")  # Shift-Tab
    terminal.expect("auto")
    terminal.press("\x1b[Z\x1b[Z\x1b[Z")
    terminal.expect("sk")  # of what is shown already nothing is drawn anew
    terminal.press("write\r")
    terminal.expect("put wants to run")
    terminal.expect("+hello")
    terminal.expect("[a] always")
    terminal.expect("Enter")
    terminal.press("later please\r")  # a sentence approves nothing, whatever letters it has
    terminal.expect("[a] always")
    terminal.expect("Enter")
    terminal.press("n\r")
    terminal.expect("why not")
    terminal.press("not there\r")
    terminal.expect("no: not there")
    terminal.expect("[a] always")
    terminal.press("o\r")
    terminal.expect("Written.")
    terminal.expect("3 steps, 1 call")
    terminal.press("wait\r")
    terminal.expect("running wait")
    terminal.press("\x03")
    terminal.expect("cancelled")
    terminal.press("/exit\r")
    terminal.expect("left")
    assert terminal.end() == 0
