"""Transcripts: runs written down as they go, to be resumed after whatever end, replayed, forked and exported."""

from sansi.agents.transcript.export import check_form, export
from sansi.agents.transcript.lines import Lines, read_lines
from sansi.agents.transcript.reading import Transcript, Turn, read_transcript
from sansi.agents.transcript.recorder import Recorder
from sansi.agents.transcript.replay import Replay, rendering, replay
from sansi.agents.transcript.resuming import SavedRun, load_run, resume_run, save_run
from sansi.agents.transcript.session import Session, copy_turns, new_head

__all__ = [
    "Lines",
    "Recorder",
    "Replay",
    "SavedRun",
    "Session",
    "Transcript",
    "Turn",
    "check_form",
    "copy_turns",
    "export",
    "load_run",
    "new_head",
    "read_lines",
    "read_transcript",
    "rendering",
    "replay",
    "resume_run",
    "save_run",
]
