"""`sansi chat` on a real pseudo-terminal, with the bundled model: keys in, a screen out."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pty = pytest.importorskip("pty")
ROOT = Path(__file__).resolve().parents[2]
MODEL = str(ROOT / "checkpoints" / "nano")
TESTS = str(Path(__file__).parent)
LONG = "Write the numbers from one to a thousand, and then once more."


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, folder, *arguments, code=None, stdout=None, **environment):
        master, slave = pty.openpty()
        _resize(slave, rows=40, columns=100)
        clean = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, *(("-m", "sansi.cli") if code is None else ("-c", code)), *arguments],
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            cwd=ROOT,
            env={**clean, "TERM": "xterm-256color", "XDG_STATE_HOME": str(folder), "PYTHONPATH": TESTS, **environment},
            start_new_session=True,
            preexec_fn=_control_terminal,
        )
        os.close(slave)
        self._master, self.shown, self._read = master, "", 0

    def press(self, keys):
        os.write(self._master, keys.encode())

    def expect(self, text, seconds=60):
        """Read on until `text` is shown after what was expected before."""
        deadline = time.monotonic() + seconds
        while (found := self.shown.find(text, self._read)) < 0:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come; since then: {self.shown[self._read :]!r}"
            if select.select([self._master], [], [], left)[0]:
                self._take()
        self._read = found + len(text)

    def _take(self):
        piece = os.read(self._master, 65536).decode(errors="replace")
        if "\x1b[6n" in piece:  # where is the cursor? A terminal answers.
            self.press("\x1b[1;1R")
        self.shown += piece

    def end(self, seconds=60):
        """The exit code, once the program has ended by itself."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self._take()
        return self.process.poll()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._master)


def _resize(descriptor, rows, columns):
    import fcntl
    import struct
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _control_terminal():
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def open_terminal(*arguments, **more):
        opened.append(Terminal(tmp_path, *arguments, **more))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


def test_a_conversation_at_the_keyboard(terminal, tmp_path):
    chat = terminal("chat", MODEL)
    chat.expect("›")
    chat.press("/bud")
    chat.expect("most tokens of a thought")  # the completion tells what the command is for
    chat.press("get 8\r")
    chat.expect("budget: 8")
    chat.expect("›")
    chat.press("Solve for e:\\\r8*e - 5 = 3\r")  # a backslash before Enter: one message of two lines
    for text in ("thinking…", "│ ", "end of thought", "cut at the budget", "tok/s", "›"):
        chat.expect(text)
    chat.press(f"/save {tmp_path}/talk.md\r")
    chat.expect("saved: ")
    chat.expect("›")  # keys that come while no line is read may be lost to the change of the terminal's mode
    chat.press("\x04")  # Ctrl-D
    assert chat.end() == 0
    assert "Solve for e:\n8*e - 5 = 3" in (tmp_path / "talk.md").read_text()
    history = tmp_path / "sansi" / "chat_history"
    assert "+Solve for e:\n+8*e - 5 = 3" in history.read_text() and history.stat().st_mode & 0o77 == 0


SLOW_CHAT = """
from fake_chat import FakeChat
from sansi.serve.terminal.chat import TerminalChat
TerminalChat(FakeChat(thought="word " * 2000, delay=0.01)).run()
"""


def test_ctrl_c_stops_an_answer_then_leaves(terminal):
    chat = terminal(code=SLOW_CHAT)
    chat.expect("›")
    chat.press("Hi\r")
    chat.expect("thinking…")
    chat.expect("word word")
    chat.press("typed ahead\x03")
    chat.expect("stopped; what was said is kept")
    chat.expect("›")
    chat.press("\x03")  # empties the line, if the interrupt has not done that
    chat.press("/show\r")
    chat.expect("(stopped)")
    chat.expect("›")
    chat.press("\x03")
    chat.expect("Ctrl-C once more")
    chat.expect("›")
    chat.press("\x03")
    assert chat.end() == 0


def test_a_dumb_terminal_gets_plain_text(terminal, tiny):
    chat = terminal("chat", str(tiny), "--thinking-budget", "4", TERM="dumb")
    chat.expect("> ")
    chat.press("Hi\r")
    chat.expect("end of thought")
    chat.expect("> ")
    chat.press("/exit\r")
    assert chat.end() == 0 and "│" not in chat.shown


def test_an_interrupt_ends_run_with_130(terminal, tiny, tmp_path):
    """While it loads, and while it answers so much that it can not be done yet."""
    lines = tmp_path / "lines"
    lines.write_text('{"prompt": "Hi", "max_tokens": 400}\n' * 3000)
    for arguments, sign in ((LONG,), "loading"), (("--jsonl", str(lines)), "/3000"):
        run = terminal("run", "-m", str(tiny), *arguments)
        run.expect(sign)
        run.process.send_signal(signal.SIGINT)
        # A shell says 130 of a program that a signal has ended, too.
        assert run.end() in (130, -signal.SIGINT) and "Traceback" not in run.shown, run.shown


def test_progress_does_not_mix_with_the_lines(terminal, tiny, tmp_path):
    (tmp_path / "lines").write_text('{"prompt": "Hi", "max_tokens": 5}\n' * 9)
    out = tmp_path / "out.jsonl"
    arguments = ("run", "-m", str(tiny), "--jsonl", str(tmp_path / "lines"))
    with out.open("w") as file:
        batch = terminal(*arguments, stdout=file)
        assert batch.end(60) == 0
    assert len(out.read_text().splitlines()) == 9 and "9/9" in batch.shown and "{" not in batch.shown
