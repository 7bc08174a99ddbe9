"""The command line: one file per verb. Rooms are imported inside the verbs, so that --help answers at once."""

from sansi.cli.app import app, main

__all__ = ["app", "main"]
