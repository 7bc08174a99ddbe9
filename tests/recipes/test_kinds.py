"""Every kind of stage at work on almost nothing: what it leaves, and that a kill anywhere changes none of it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_corpus import digests, make_corpus, small_tiny
from sansi.base import SansiError
from sansi.base.files import read_json
from sansi.base.runs import RunFolder
from sansi.chat import ChatModel
from sansi.cli.info import info
from sansi.data import read_corpus, shard_paths
from sansi.data.problems import evaluation_set, training_problems
from sansi.data.samples import read_samples
from sansi.data.shards.shard import open_shard
from sansi.eval import budget_curve
from sansi.model import load
from sansi.post.requests import Requests
from sansi.post.samples import Shares, cold_start_samples, exchanges, fusion_samples, plain_document, plain_question
from sansi.recipes.history import history_of
from sansi.recipes.kinds.evaluation import Evaluate, make_evaluation, read_curve
from sansi.recipes.kinds.tasks import read_problems
from sansi.recipes.recipe import load_recipe
from sansi.recipes.records import StageRecord
from sansi.recipes.runner import Runner
from sansi.recipes.stages import Given, Inputs, StageRun
from sansi.text import Codec
from small_recipe import Killed

TRAINED = ("general", "reasoning", "long-context", "cold-start", "grpo", "fusion")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("made") / "corpus")


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory) -> Path:
    """The recipe, made without a stop."""
    out = tmp_path_factory.mktemp("whole")
    Runner(small_tiny(corpus), out).run()
    return out


def run_until(runner: Runner, owner: Any, method: str, call: int) -> None:
    """Run the recipe and die at the given call (1-based) of a method."""
    usual, calls = getattr(owner, method), itertools.count(1)

    def dying(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            raise Killed
        return usual(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(owner, method, dying)
        runner.run()


def test_a_killed_recipe_goes_on_and_ends_as_an_uninterrupted_one(corpus, whole, tmp_path):
    kills = [
        (RunFolder, "log", 3),  # inside the first training, after its first checkpoint
        (RunFolder, "log", 7),  # inside the second
        (RunFolder, "log", 1),
        (RunFolder, "log", 13),  # inside the reinforcement learning or beside it
        (StageRecord, "save", 4),
        (budget_curve, "_follows", 1),  # in the evaluation
    ]
    before: dict[str, int] = {}
    for owner, method, call in kills:
        run_until(Runner(small_tiny(corpus), tmp_path), owner, method, call)
        written = {str(f): f.stat().st_mtime_ns for f in tmp_path.glob("*/checkpoints/step-4/model.safetensors")}
        assert before.items() <= written.items()  # what was finished is not made again
        before = written
    Runner(small_tiny(corpus), tmp_path).run()
    assert digests(tmp_path) == digests(whole)
    curves = [(out / "evaluation" / "answers.jsonl").read_text() for out in (tmp_path, whole)]
    assert curves[0] == curves[1]


def test_every_stage_leaves_what_the_next_one_reads(whole):
    for name in TRAINED:
        run, record = RunFolder(whole / name), StageRecord.load(whole / name)
        assert record.done and record.output == "checkpoints/step-4" and record.facts["steps"] == 4
        assert [row["step"] for row in run.metrics()][-1] == 4
        assert (whole / name / record.output / "tokenizer.json").is_file()
        assert record.codec == StageRecord.load(whole / "tokenizer").codec
    contexts = [load(RunFolder(whole / name).latest(), device="cpu").config.context_length for name in TRAINED[1:3]]
    assert contexts == [128, 512]
    model = whole / "model"
    assert read_json(model / "generation_config.json")["sansi_presets"] == {"thinking": {"temperature": 0.3}}
    with ChatModel.from_pretrained(model, device="cpu") as chat:
        assert chat.presets.thinking.temperature == 0.3
        assert chat.complete([{"role": "user", "content": "What is 1 + 1?"}]).usage.completion_tokens > 0
    assert [p["budget"] for p in read_json(whole / "evaluation" / "budget_curve.json")["points"]] == [0, 8, None]
    assert (whole / "model-int8" / "tokenizer.json").is_file()


def test_what_is_published_tells_figures_and_history(whole):
    published = whole / "publish"
    report = (published / "report.md").read_text()
    assert all(f"| {name} | 4 |" in report for name in TRAINED) and "| unlimited |" in report and "after GRPO" in report
    assert (published / "training.png").stat().st_size > 0
    assert set(read_json(published / "blocks.json")) >= {"curve", "switches", "stages", "gain", "families", "made"}
    names = [record.name for record in history_of(published).stages]
    assert names[-1] == "publish" and {"tokenizer", "held-out", "model", "evaluation", *TRAINED} < set(names)
    exported = [record.name for record in history_of(whole / "model").stages]
    assert exported[-1] == "model" and set(exported) < set(names)


def test_info_tells_the_history_of_a_checkpoint(whole, capsys):
    info(str(whole / "fusion" / "checkpoints" / "step-4"))
    told = capsys.readouterr().out
    assert "parameters" in told and "fusion (sft of grpo, fusion-samples): " in told and "general (pretrain" in told
    info(str(whole / "text"))
    told = capsys.readouterr().out
    assert "text (pack of" in told and "tokens" in told
    info(str(whole / "publish"), as_json=True)
    assert '"history"' in capsys.readouterr().out


def test_what_is_read_is_what_the_seeds_say(corpus, whole):
    """The same tokens and samples as from the functions of the rooms, called one after the other."""
    codec, hidden = Codec.from_pretrained(whole / "tokenizer"), {p.key for p in evaluation_set(6)}
    assert {p.key for p in read_problems(whole / "held-out")} == hidden
    requests = [document.text for document in read_corpus(corpus)]
    encode, end = codec.tokenizer.encode, codec.tokenizer.end_of_text_id
    (text,) = shard_paths(whole / "text")
    assert open_shard(text).tokens.tolist() == [id_ for t in requests for id_ in (*encode(t), end)]

    worked: list[int] = []
    stream = exchanges(1, hidden, Requests(requests), Shares())
    while len(worked) < 4000:
        i = worked.count(end)
        worked += [*encode((plain_document if i % 6 else plain_question)(next(stream))), end]
    (shard,) = shard_paths(whole / "worked")
    assert open_shard(shard).tokens.tolist() == worked

    cold = cold_start_samples(codec, itertools.islice(exchanges(2, hidden, Requests(requests)), 30))
    fused = fusion_samples(codec, exchanges(4, hidden, Requests(requests)), 30, seed=0)
    for name, samples in (("cold-start-samples", cold), ("fusion-samples", fused)):
        for (ids, mask), sample in zip(read_samples(whole / name), samples, strict=True):
            assert np.array_equal(ids, sample.ids) and np.array_equal(mask, sample.loss_mask)


def test_seeds_of_the_stages_are_their_own_and_hide_the_evaluation():
    """No question of the evaluation is trained on, in whatever words, and no two stages draw the same."""
    recipe = load_recipe("nano")
    hidden = {"held-out", "validation", "held-out-sums"}
    draws = [stage for stage in recipe.stages if hidden & set(stage.inputs.get("held_out", ()))]
    drawn = [stage for stage in draws if stage.kind.name != "corpus"]
    assert all(set(stage.inputs["held_out"]) == hidden for stage in drawn) and len(drawn) >= 6
    seeds = [getattr(s.config, "problem_seed", getattr(s.config, "seed", None)) for s in recipe.up_to() if s in drawn]
    assert sorted(seeds) == [0, 1, 1, 2, 3, 4, 5, 6]  # the same stream twice: the worked problems of two stages
    held_out = {problem.key for problem in evaluation_set(600)}
    for seed in set(seeds):
        stream = training_problems(seed, held_out=held_out)
        assert not held_out & {problem.key for problem in itertools.islice(stream, 300)}
    assert held_out & {problem.key for problem in itertools.islice(training_problems(1), 2000)}


def test_documents_are_packed_by_their_length(corpus, tmp_path):
    recipe = small_tiny(corpus, ["text.min_tokens=768", "until=text"])
    Runner(recipe, tmp_path).run()
    (shard,) = map(open_shard, shard_paths(tmp_path / "text"))
    lengths = np.diff([*shard.starts, len(shard.tokens)])
    assert len(lengths) == 6 and lengths.min() >= 768
    (tmp_path / "other").mkdir()
    Runner(small_tiny(corpus, ["text.max_tokens=767", "until=text"]), tmp_path / "other").run()
    (shard,) = map(open_shard, shard_paths(tmp_path / "other" / "text"))
    assert np.diff([*shard.starts, len(shard.tokens)]).max() < 768 and len(shard.starts) == 6


def test_ids_of_a_large_vocabulary_do_not_wrap(tmp_path, monkeypatch):
    """Samples are kept with as many bits as the vocabulary needs."""
    from sansi.recipes.kinds import tasks

    class LargeCodec:
        vocab_size = 70_001

    class Sample:
        ids, loss_mask = (70_000, 1), (False, True)

    monkeypatch.setattr(tasks.Codec, "from_pretrained", lambda folder: LargeCodec())
    monkeypatch.setattr(tasks, "exchange_stream", lambda *given: iter(()))
    monkeypatch.setattr(tasks, "fusion_samples", lambda *given: [Sample(), Sample()])
    given = Inputs({"tokenizer": [Given("t", tmp_path)], "corpus": [Given("c", tmp_path)]})
    tasks.make_samples(tasks.Samples(count=2), given, StageRun(tmp_path, tmp_path, "s", 0))
    assert [ids.tolist() for ids, _ in read_samples(tmp_path)] == [[70_000, 1]] * 2


def test_conversations_of_ones_own_are_tuned_on(whole, tmp_path):
    """A file of chats as samples, then a fine-tuning on them, as a recipe of two stages."""
    chat = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day."}]
    (tmp_path / "chats.jsonl").write_text((json.dumps({"messages": chat}) + "\n") * 3)
    (tmp_path / "mine.toml").write_text(f"""
        name = "mine"
        [[stage]]
        kind = "samples"
        name = "chats"
        style = "conversations"
        inputs = {{ tokenizer = "{whole / "cold-start"}", conversations = "chats.jsonl" }}
        [[stage]]
        kind = "sft"
        name = "tuned"
        steps = 1
        sequence_length = 64
        batch_size = 2
        compile = false
        inputs = {{ model = "{whole / "cold-start"}", samples = "chats" }}
    """)
    Runner(load_recipe(tmp_path / "mine.toml"), tmp_path / "out").run()
    assert StageRecord.load(tmp_path / "out" / "chats").facts["conversations"] == 3
    assert StageRecord.load(tmp_path / "out" / "tuned").facts["samples"] == 3
    (tmp_path / "chats.jsonl").write_text("{}\n")
    with pytest.raises(SansiError, match=r"input conversations: .* has another content"):
        Runner(load_recipe(tmp_path / "mine.toml"), tmp_path / "out").run()


def test_a_corpus_of_other_inputs_is_not_taken(corpus, whole, tmp_path):
    """Another list of held-out problems, another corpus, another tokenizer: each is named."""
    for change, told in {
        "held-out.count=7": "held-out (count: 6 there, 7 here)",
        "tokenizer.vocab_size=500": "tokenizer (vocab_size: 512 there, 500 here)",
        "seed=1": "seed: 0 there, 1 here",
    }.items():
        with pytest.raises(SansiError) as caught:
            Runner(small_tiny(corpus, [change]), whole).run()
        assert told in str(caught.value), change
    other = make_corpus(tmp_path / "other", texts=["another text"])
    with pytest.raises(SansiError, match="input corpus: "):
        Runner(small_tiny(other), whole).run()


def test_ids_of_one_tokenizer_are_not_given_to_the_model_of_another(corpus, whole, tmp_path):
    recipe = small_tiny(corpus, ["tokenizer.vocab_size=500", f"cold-start.inputs.model={whole / 'long-context'}"])
    with pytest.raises(SansiError, match="have different tokenizers or templates; make both with one"):
        Runner(recipe, tmp_path).run(until="cold-start")


def test_rows_that_do_not_fit_the_context_are_refused_before_anything_is_made(corpus, whole):
    for change, held in {"reasoning.sequence_length=129": 128, "cold-start.sequence_length=513": 512}.items():
        name, _, length = change.partition(".sequence_length=")
        told = f'stage "{name}": "sequence_length" is {length}, but the model\'s context holds {held} tokens'
        with pytest.raises(SansiError, match=told):
            small_tiny(corpus, [change])
    given = [f"cold-start.inputs.model={whole / 'general'}", "cold-start.sequence_length=129"]  # made by another recipe
    with pytest.raises(SansiError, match='"sequence_length" is 129'):
        small_tiny(corpus, given)


def test_curves_are_drawn_beside_one_another(whole, tmp_path):
    given = {"model": [Given("model", whole / "model")], "beside": [Given("evaluation", whole / "evaluation")]}
    given["problems"] = [Given("held-out", whole / "held-out")]
    config = Evaluate(measure="budget_curve", budgets=(0, 8), labels=("one", "other"), asking={"max_tokens": 40})
    make_evaluation(config, Inputs(given), StageRun(tmp_path, tmp_path, "ablation", 0))
    assert (tmp_path / "beside.png").stat().st_size > 0 and read_curve(tmp_path).model == "model"


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
