"""Put a finished nano run where people find it: the package, with its card, the figures in README and RESULTS.

    python runs/nano/publish.py

Every number comes from the run folder; nothing is typed. Run it again after any new run.
"""

from __future__ import annotations

import argparse
import math
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

from recipe import STAGES  # beside this script
from sansi.base import SansiError
from sansi.base.files import read_json, updated_folder, write_json, write_text
from sansi.base.runs import RunFolder
from sansi.data.problems import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(<!-- nano:(\w+) -->\n).*?(<!-- /nano:\2 -->)", re.DOTALL)


class Facts:
    """What a run folder says about itself, as Markdown."""

    def __init__(self, run: Path):
        self.run = run
        self.commits = {stage: read_json(run / stage / "made_by.json")["commit"] for stage in STAGES}
        self.curve = read_json(run / "evaluation" / "budget_curve.json")
        self.recipe = read_json(run / "config.json")
        self.metrics = {stage: RunFolder(run / stage).metrics() for stage in STAGES}

    def blocks(self) -> dict[str, str]:
        return {
            "curve": (self.run / "evaluation" / "budget_curve.md").read_text(encoding="utf-8"),
            "switches": self.switches(),
            "stages": self.stages(),
            "gain": self.gain(),
            "contact": self.contact("first_contact_summary.md"),
            "contact_wordings": self.contact("first_contact.md"),
            "families": "\n".join(f"- `{f.name}`: {f.about} (`{f.parameters}`)" for f in FAMILIES.values()) + "\n",
            "made": self.made(),
        }

    def made(self) -> str:
        commits = ", ".join(f"{stage} `{commit}`" for stage, commit in self.commits.items())
        return f"Made by the stages of `runs/nano/recipe.py`, seed {self.recipe['seed']}, at commits: {commits}.\n"

    def switches(self) -> str:
        hard = min(point["mode_followed"] for point in self.curve["points"])
        soft = self.curve["soft_switch_followed"]
        return (
            f"Hard switch followed: {100 * hard:.1f}% (the server enforces it). Soft switch at the end of the "
            "question, left to the model, first 500 problems: "
            + ", ".join(f"`{flag}` {100 * share:.1f}%" for flag, share in soft.items())
            + f". Budgets exceeded: {sum(point['overruns'] for point in self.curve['points'])} times.\n"
        )

    def stages(self) -> str:
        lines = ["| stage | steps | tokens | minutes | last loss or reward |", "| --- | --: | --: | --: | --: |"]
        for stage, rows in self.metrics.items():
            last: dict[str, Any] = {}
            for row in rows:
                last.update(row)
            tokens = f"{last['tokens'] / 1e6:.1f}M" if "tokens" in last else "rollouts"
            figure = f"loss {last['loss']:.3f}" if "loss" in last else f"reward {last['reward']:.3f}"
            lines.append(f"| {stage} | {last['step']} | {tokens} | {last['stage_seconds'] / 60:.1f} | {figure} |")
        return "\n".join(lines) + "\n"

    def gain(self) -> str:
        before, after = (read_json(self.run / s / "held_out.json")["accuracy"] for s in ("cold-start", "grpo"))
        count = self.curve["points"][0]["score"]["problems"]
        error = math.sqrt((before * (1 - before) + after * (1 - after)) / count)
        return (
            f"Held-out thinking accuracy: {100 * before:.1f}% after the cold start, {100 * after:.1f}% after GRPO "
            f"({100 * (after - before):+.1f} ± {100 * error:.1f} points on {count:,} problems, one seed). The "
            "cold start is short on purpose: a long one learns more from the solvers than RL can add (docs/LOG.md).\n"
        )

    def contact(self, name: str) -> str:
        return (self.run / "evaluation" / name).read_text(encoding="utf-8")


def fill(text: str, blocks: dict[str, str]) -> str:
    """The text with every marked block replaced. Raises SansiError for a mark that no block has."""

    def replace(found: re.Match[str]) -> str:
        if found[2] not in blocks:
            raise SansiError(f'no figures called "{found[2]}"; there are {", ".join(blocks)}')
        return found[1] + blocks[found[2]] + found[3]

    return BLOCK.sub(replace, text)


def publish(run: Path) -> None:
    facts = Facts(run)
    blocks = facts.blocks()
    card = fill((ROOT / "runs" / "nano" / "CARD.md").read_text(encoding="utf-8"), blocks)
    # git keeps what was there, so all of it may go, whoever wrote it
    with updated_folder(ROOT / "sansi" / "bundled" / "nano", supersedes=lambda name: True) as draft:
        shutil.copytree(run / "model", draft, dirs_exist_ok=True)
        write_text(draft / "README.md", card)
        write_json(draft / "evaluation.json", facts.curve)
        write_json(draft / "made_by.json", {"commits": facts.commits, "recipe": facts.recipe})
    images = ROOT / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    for source, name in (
        (run / "evaluation" / "budget_curve.png", "nano_budget_curve.png"),
        (run / "plots" / "training.png", "nano_training.png"),
    ):
        if source.exists():
            shutil.copyfile(source, images / name)
    for page in (ROOT / "README.md", ROOT / "docs" / "RESULTS.md"):
        write_text(page, fill(page.read_text(encoding="utf-8"), blocks))
    runpy.run_path(str(ROOT / "docs" / "tables.py"), run_name="__main__")  # what else the pages say of the model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / "nano" / "default")
    arguments = parser.parse_args()
    try:
        publish(arguments.run)
    except SansiError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
