"""A training that ends itself by SIGKILL at a place of its choice: `python dying.py FOLDER PLACE STEP`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from sansi.base import files
from sansi.train import checkpoint
from tiny_training import make_trainer


def die(*arguments: Any, **options: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, place: str, step: int) -> None:
    trainer = make_trainer(Path(folder))
    save = trainer.checkpointer.save

    def dying(at: int, state: Any) -> Any:
        if at == step:
            if place == "weights":  # the weights are written, nothing else
                checkpoint.save_file = die
            elif place == "rename":  # all is written, and not in its place
                files.place = die
            elif place == "clean":  # the new checkpoint is there, the oldest not yet removed
                trainer.run.keep_last = die
        return save(at, state)

    trainer.checkpointer.save = dying  # type: ignore[method-assign]
    if place == "log":
        usual = trainer.run.log
        trainer.run.log = lambda at, **figures: die() if at == step else usual(at, **figures)  # type: ignore
    trainer.train()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
