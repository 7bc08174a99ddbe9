"""`sansi make`: what it shows, what it refuses, and what it says when it is stopped."""

from __future__ import annotations

from functools import partial

import pytest
from made_corpus import SMALL, make_corpus, small_tiny, write_small
from sansi.recipes.kinds import KINDS
from sansi.recipes.plan import plan
from sansi.recipes.recipe import load_recipe
from sansi.recipes.runner import Runner


@pytest.fixture
def sansi(sansi):
    return partial(sansi, "make")


def test_the_list_has_every_recipe_and_every_kind(sansi):
    shown = sansi("--list").out
    assert "nano" in shown and "tiny" in shown and "library/nano.toml" in shown
    for kind in KINDS.values():
        assert f"  {kind.name} " in shown and kind.about in shown


def test_a_dry_run_shows_sizes_times_and_memory_and_makes_nothing(sansi, tmp_path):
    shown = sansi("nano", "--dry-run", "--out", tmp_path / "out").out
    lines = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    assert "800 steps of 16 x 256 tokens" in lines["s1-general"] and "3.3M" in lines["s1-general"]
    assert "GiB" in lines["s2-reasoning"] or "MiB" in lines["s2-reasoning"]
    assert "16 rounds of 32 questions x 8 answers" in lines["grpo"]
    recipe = load_recipe("nano")
    made, whole = len(recipe.up_to()), len(recipe.stages)
    assert f"{made} of {made} stages to make: about " in shown and "ablation" not in lines
    assert not (tmp_path / "out").exists()
    assert (
        f"{whole} of {whole} stages" in sansi("nano", "--dry-run", "--until", "ablation", "--out", tmp_path / "out").out
    )


def test_the_corpus_of_the_library_names_what_there_is_and_that_of_nano_is_the_usual_one(sansi, tmp_path):
    shown = sansi("corpus", "--dry-run", "--until", "s3-mixture", "--out", tmp_path / "out").out
    lines = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    assert "29 sources" in lines["corpus"] and "s2-worked" in lines
    (nano,) = (stage.config for stage in load_recipe("nano").stages if stage.kind.name == "corpus")
    assert [source.title for source in nano.named] == [
        "brown", "debian-handbook", "udhr", "debian-reference-zh", "manpages-zh", "fortunes-zh", "foldoc",
        "python-stdlib",
    ]  # fmt: skip
    assert not nano.limit_bytes and not nano.allow_newer


def test_the_plan_says_what_is_done_begun_and_stale(tmp_path):
    corpus = make_corpus(tmp_path / "corpus")
    out = tmp_path / "out"
    Runner(small_tiny(corpus), out).run(until="tokenizer")
    shown = plan(Runner(small_tiny(corpus), out), until="text")
    assert [line.split()[-1] for line in shown.splitlines()[4:6]] == ["done", "done"]
    assert "1 of 3 stages to make" in shown
    shown = plan(Runner(small_tiny(corpus, ["tokenizer.vocab_size=400"]), out), until="text")
    assert "stale: vocab_size: 512 there, 400 here" in shown and "--restart tokenizer makes it anew" in shown
    shown = plan(Runner(small_tiny(corpus), out), until="text", restart=["tokenizer"])
    assert shown.count("anew") == 2 and (out / "tokenizer").is_dir()  # nothing is moved


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "which recipe? `sansi make --list` shows"),
        (("nanno",), 'there is no recipe "nanno"; did you mean "nano"'),
        (("tiny", "--set", "general"), "write it as stage.key=value"),
        (("tiny", "--set", "genral.steps=3"), 'there is no stage "genral"; did you mean "general"?'),
        (("tiny", "--set", "general.steps=0"), 'stage "general": "steps" must be positive, not 0'),
        (("tiny", "--until", "fushion"), 'tiny has no stage "fushion"; did you mean "fusion"?'),
        (("tiny", "--restart", "fushion", "--dry-run"), 'tiny has no stage "fushion"; did you mean "fusion"?'),
    ],
)
def test_a_mistake_is_one_line(sansi, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    shown = sansi(*arguments)
    assert shown.code == 1 and shown.err.startswith("error: ") and told in shown.err and shown.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_interrupt_says_how_to_go_on(sansi, tmp_path, monkeypatch):
    def interrupted(self, until, restart):
        raise KeyboardInterrupt

    monkeypatch.setattr(Runner, "run", interrupted)
    shown = sansi("tiny", "--out", tmp_path / "out")
    assert shown.code == 130 and "the same command (without --restart) goes on from here" in shown.err


def test_stages_are_made_and_told_of(sansi, tmp_path):
    corpus = make_corpus(tmp_path / "corpus")
    changes = [part for change in SMALL for part in ("--set", change)]
    command = [write_small(corpus), "--out", tmp_path / "out", "--until", "tokenizer", *changes]
    shown = sansi(*command)
    assert shown.code == 0 and "== 1/2 held-out (problems)" in shown.out and "6 problems" in shown.out
    assert "talk to it" not in shown.out  # no stage up to here leaves a model that serves
    assert sansi(*command).out.count(": done") == 2
    stale = sansi(*command, "--set", "tokenizer.vocab_size=400")
    assert stale.code == 1 and "vocab_size: 512 there, 400 here" in stale.err
    shown = sansi(*command, "--set", "tokenizer.vocab_size=400", "--restart", "tokenizer")
    assert shown.code == 0 and (tmp_path / "out" / "tokenizer.old-1").is_dir()
