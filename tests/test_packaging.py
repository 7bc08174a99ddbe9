"""What surrounds the package says the truth: make's targets, versions, metadata, the container's file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sansi import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()


def made(*arguments: str, **environment: str) -> str:
    """What make would do, or says."""
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    command = ["make", "-o", ".venv/.serve", "-o", ".venv/.test", *arguments]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_lists_every_target():
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    listed = set(re.findall(r"^  ([a-z]+) ", made("help"), re.MULTILINE))
    assert listed == set(phony[1].split())
    assert made() == made("help"), "make alone starts nothing"


def test_serve_takes_its_address_from_the_command_line_and_from_nowhere_else():
    line = made("-n", "serve", "PORT=9000", "HOST=0.0.0.0", "MODEL=my/model", "ARGS=--max-queue 3")
    assert " ".join(line.split()) == ".venv/bin/sansi serve my/model --port 9000 --host 0.0.0.0 --max-queue 3"
    line = made("-n", "serve", PORT="9000", HOST="somebody's-shell", ARGS="--none")
    assert " ".join(line.split()) == ".venv/bin/sansi serve checkpoints/nano"


def test_tests_run_on_all_cores_and_take_arguments():
    assert "-m pytest -n auto" in made("-n", "test")
    assert made("-n", "test", "ARGS=tests/text -n 0").rstrip().endswith("tests/text -n 0")


def test_versions_agree():
    assert PROJECT["version"] == __version__
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    newest = re.search(r"^## (\d[\w.]*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest and newest[1] == __version__


def test_what_is_needed_is_pinned():
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    wanted = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    names = {re.split(r"[\[>=<; ]", line)[0].lower().replace("_", "-") for line in wanted} - {"sansi"}
    assert names <= pinned, f"not in constraints.txt: {sorted(names - pinned)}"


def test_the_index_s_readme_stands_alone():
    """A package index has none of the other files, so nothing in its readme may lead to one."""
    text = (ROOT / PROJECT["readme"]).read_text()
    assert not re.findall(r"\]\((?!https?://)", text)
    assert "![" not in text


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "sansi" / "py.typed").is_file()


def test_the_container_s_file_is_clean():
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists():
        pytest.skip("there is no hadolint; `make lint` installs it")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_container_copies_what_is_there_and_what_its_ignore_file_lets_through():
    let_through = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for line in re.findall(r"^COPY (?!--from)(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        *sources, _ = [part for part in line.split() if not part.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source in let_through, source
