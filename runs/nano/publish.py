"""Put a finished nano run where people find it: the package, with its card, the figures in README and RESULTS.

    python bench/first_contact.py runs/nano/model --out runs/nano/contact
    python runs/nano/publish.py

Every number comes from the run folder; nothing is typed. Run it again after any new run.
"""

from __future__ import annotations

import argparse
import runpy
import shutil
from pathlib import Path

from sansi.base import SansiError
from sansi.base.files import read_json, updated_folder, write_text
from sansi.recipes.kinds.models import BLOCKS_FILE
from sansi.recipes.recipe import LIBRARY
from sansi.recipes.records import RECORD_FILE
from sansi.recipes.report import PLOT_FILE, fill

ROOT = Path(__file__).resolve().parents[2]
CONTACT = {"contact": "first_contact_summary.md", "contact_wordings": "first_contact.md"}
ONLY_HERE = (RECORD_FILE, BLOCKS_FILE, PLOT_FILE, "report.md", ".*")


def publish(run: Path) -> None:
    """Raises SansiError for a run that is not finished, or whose first contact was not measured."""
    published, evaluation = run / "publish", run / "evaluation"
    if not (published / BLOCKS_FILE).is_file():
        raise SansiError(f"{run} is not finished; make it with: sansi make nano --out {run}")
    blocks = read_json(published / BLOCKS_FILE) | {name: _contact(run, file) for name, file in CONTACT.items()}
    # git keeps what was there, so all of it may go, whoever wrote it
    with updated_folder(ROOT / "sansi" / "bundled" / "nano", supersedes=lambda name: True) as draft:
        shutil.copytree(published, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*ONLY_HERE))
        write_text(draft / "README.md", fill((LIBRARY / "nano" / "CARD.md").read_text(encoding="utf-8"), blocks))
    images = ROOT / "docs" / "images"
    shutil.copyfile(evaluation / "budget_curve.png", images / "nano_budget_curve.png")
    shutil.copyfile(published / PLOT_FILE, images / "nano_training.png")
    for page in (ROOT / "README.md", ROOT / "docs" / "RESULTS.md"):
        write_text(page, fill(page.read_text(encoding="utf-8"), blocks))
    runpy.run_path(str(ROOT / "docs" / "tables.py"), run_name="__main__")  # what else the pages say of the model


def _contact(run: Path, file: str) -> str:
    path = run / "contact" / file
    if not path.is_file():
        raise SansiError(
            f"{path} is missing; measure it: python bench/first_contact.py {run}/model --out {run}/contact"
        )
    return path.read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / "nano")
    arguments = parser.parse_args()
    try:
        publish(arguments.run)
    except SansiError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
