"""The nano recipe: from raw text to a hybrid-reasoning chat model on two CPU cores, in about an hour.

    python runs/nano/recipe.py                      # everything, into runs/nano/default
    python runs/nano/recipe.py --ablation           # afterwards: the same fusion without training on cut thoughts
    python runs/nano/recipe.py --scale 0.01 --problems 24 --out /tmp/tiny   # every stage, much too short

corpus -> tokenizer -> S1 general -> S2 reasoning -> S3 long context -> long-CoT cold start -> GRPO -> thinking-mode
fusion -> evaluation -> a Hugging Face folder. Each stage is a run folder of its own; a killed recipe, started again,
goes on at the last checkpoint.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sansi.base import SansiError, config_to_dict
from sansi.base.files import atomic_folder, read_json, write_json, write_text
from sansi.base.model_card import CARD_FILE
from sansi.base.runs import RunFolder
from sansi.chat import ChatModel, ChatOptions
from sansi.data import Mixture, PackedDataset, SampleDataset, TokenShard, pack, shard_paths
from sansi.data.corpus import build_corpus, read_corpus
from sansi.data.problems import Problem, evaluation_set, held_out_sums, training_problems
from sansi.engine import Engine
from sansi.eval import budget_curve
from sansi.eval.problem_set import Score, ask
from sansi.eval.training_plot import plot_training
from sansi.model import ModelBundle, ModelConfig, Transformer, load, save
from sansi.post.grpo import GRPO, GRPOConfig, learnable
from sansi.post.requests import Requests
from sansi.post.samples import (
    Exchange,
    FusionMix,
    Shares,
    cold_start_samples,
    exchange_of,
    exchanges,
    fusion_samples,
    plain_document,
    plain_question,
)
from sansi.post.small_talk import fixed_text
from sansi.text import NO_THINK_FLAG, THINK_FLAG, Codec, Tokenizer
from sansi.text.codec import BUDGET_PHRASE
from sansi.train.loop import Batches, TrainConfig, Trainer
from sansi.train.objective import NextToken
from sansi.train.schedule import Schedule
from sansi.train.stages import extend_context

STAGES = ("s1-general", "s2-reasoning", "s3-long-context", "cold-start", "grpo", "fusion", "polish")
# One training seed per purpose: their draws are independent. Questions of the evaluation are left out of all of them.
SEED_TOKENIZER, SEED_S2, SEED_COLD_START, SEED_RL, SEED_FUSION, SEED_POLISH = range(6)
FIXED_REPEATS = 1500  # times that the tokenizer reads the fixed sentences: each of their words becomes one token
ROWS, ROW = 11, 384  # rows of a batch of chat samples, and their tokens
LONG_ROWS, LONG_ROW = 8, 512  # those of the last stage: a conversation of eight turns does not fit into the others
PLAIN_SHARES = Shares(gym=0.52, ordinary=0.37, talk=0.11)
POLISH_SHARES = Shares(gym=0.46, ordinary=0.33, talk=0.21)
POLISH_MIX = FusionMix(thinking=0.27, cut=0.25, direct=0.29, several_turns=0.19)
PRESETS = {"thinking": {"temperature": 0.3}, "non-thinking": {"temperature": 0.3, "presence_penalty": 0.0}}


@dataclass(frozen=True)
class Recipe:
    """Every number of the recipe."""

    seed: int = 0
    """Seed of weights and of the order of batches."""
    vocab_size: int = 768
    """Ids, control tokens included. A larger vocabulary hides the letters of words, which two families are about: the
    256 more than the smallest useful one spell the sentences that are always the same, in a third of the tokens."""
    learning_rate: float = 5e-3
    """Peak of the three pre-training stages (Muon)."""
    s1_steps: int = 800
    """Steps of 16 x 256 tokens of real text."""
    s2_steps: int = 4000
    """Steps of 16 x 256 tokens: four fifths worked problems as plain text, one fifth real text."""
    s3_steps: int = 200
    """Steps of 4 x 1,024 tokens, RoPE base 10,000 -> 1,000,000."""
    cold_start_steps: int = 60
    """Steps of 11 x 384 tokens of thoughts in chat form: few, since more of them leave RL nothing to learn."""
    rl_steps: int = 16
    """Rounds of 32 questions x 8 answers."""
    fusion_steps: int = 3200
    """Steps of 11 x 384 tokens in both modes."""
    fusion_samples: int = 114_000
    """Samples of fusion, which are seen more than once, each time in other company."""
    polish_steps: int = 3200
    """Steps of 8 x 512 tokens of the same kind at a falling rate, with more of the gym's problems and of answers at
    once."""
    polish_samples: int = 90_000
    """Samples of that stage."""

    def scaled(self, scale: float) -> Recipe:
        steps = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name.endswith("_steps")}
        numbers = {name: max(2, round(n * scale)) for name, n in steps.items()}
        for name in ("fusion_samples", "polish_samples"):
            numbers[name] = max(200, round(getattr(self, name) * scale))
        return dataclasses.replace(self, **numbers)


@dataclass(frozen=True)
class Sizes:
    """How much is drawn and asked around the stages. Smaller ones are for trying the recipe out."""

    held_out: int = 1000
    """Problems of the evaluation."""
    validation: int = 300
    """Problems that GRPO's curve is measured on."""
    tokenizer_problems: int = 6000
    """Worked problems that the tokenizer is trained on, beside the corpus."""
    s3_tokens: int = 500_000
    """Tokens of worked problems in the long-context stage."""
    rl_questions: int = 32
    """Questions of a round of GRPO."""
    rl_pool: int = 50
    """Questions tried per round of GRPO, to choose the learnable ones from; at least 64 in all."""
    rl_max_tokens: int = 320
    """Longest rollout."""
    max_tokens: int | None = None
    """Longest answer in evaluations; None: what the context leaves."""


class Nano:
    """The recipe at work in one folder."""

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        corpus: Path,
        compiled: bool = True,
        sizes: Sizes | None = None,
        sources: list[str] | None = None,
    ):
        self.recipe, self.out, self.corpus, self.compiled, self.sources = recipe, out, corpus, compiled, sources
        self.sizes = sizes or Sizes()
        # The usual sizes are not written down: they are what a run folder without a word about them was made with.
        unusual = {} if self.sizes == Sizes() else {"sizes": config_to_dict(self.sizes)}
        RunFolder(out, {**config_to_dict(recipe), **unusual})
        self.held_out = evaluation_set(self.sizes.held_out)
        self.validation = evaluation_set(self.sizes.validation, seed=2_000_000)
        # By what they are about: a held-out problem is held out in every wording.
        self._hidden = frozenset(p.key for p in [*self.held_out, *self.validation, *held_out_sums()])

    # ---- data ---------------------------------------------------------------------------------------------------

    def problems(self, seed: int) -> Iterator[Problem]:
        return training_problems(seed, held_out=self._hidden)

    def first_problems(self, seed: int, count: int) -> list[Problem]:
        return list(itertools.islice(self.problems(seed), count))

    def requests(self) -> Requests:
        """Messages that are no problems, some of them pasted from the corpus."""
        return Requests([document.text for document in read_corpus(self.corpus)])

    def exchanges(self, seed: int, shares: Shares | None = None) -> Iterator[Exchange]:
        return exchanges(seed, self._hidden, self.requests(), shares)

    def build_corpus(self) -> None:
        if not (self.corpus / "manifest.json").exists():
            build_corpus(self.corpus, self.sources, evaluation_texts=[p.question for p in self.held_out])

    def tokenizer(self) -> Codec:
        folder = self.out / "tokenizer"
        if not (folder / "tokenizer.json").exists():
            texts = [document.text[:2000] for document in itertools.islice(read_corpus(self.corpus), 0, None, 6)]
            worked = [
                plain_document(exchange_of(p))
                for p in self.first_problems(SEED_TOKENIZER, self.sizes.tokenizer_problems)
            ]
            fixed = f"user\nassistant\nsystem\n\n{BUDGET_PHRASE.strip()}\n{THINK_FLAG} {NO_THINK_FLAG}\n{fixed_text()}"
            with atomic_folder(folder) as draft:
                Codec(Tokenizer.train([*texts, *worked, *[fixed] * FIXED_REPEATS], self.recipe.vocab_size)).save(draft)
        return Codec.from_pretrained(folder)

    def bundle(self, codec: Codec) -> ModelBundle:
        """What a checkpoint has beside its weights."""
        with tempfile.TemporaryDirectory() as folder:
            codec.save(folder)
            return ModelBundle.from_folder(folder)

    def text_shards(self, codec: Codec) -> Path:
        folder = self.out / "tokens"
        if not folder.exists():
            pack((document.text for document in read_corpus(self.corpus)), codec.tokenizer, folder)
        return folder

    def worked_tokens(self, codec: Codec, tokens: int) -> np.ndarray:
        """Worked problems and other exchanges as plain text, at least `tokens` ids; one in six without its thought."""
        tokenizer, parts, size = codec.tokenizer, [], 0
        for i, exchange in enumerate(self.exchanges(SEED_S2, PLAIN_SHARES)):
            text = plain_question(exchange) if i % 6 == 0 else plain_document(exchange)
            parts.append(np.array([*tokenizer.encode(text), tokenizer.end_of_text_id], np.uint16))
            size += len(parts[-1])
            if size >= tokens:
                return np.concatenate(parts)
        raise AssertionError("the stream of exchanges is endless")

    # ---- stages -------------------------------------------------------------------------------------------------

    def stage(self, name: str, steps: int, make: Callable[[RunFolder], None]) -> Path:
        """Run `make` unless the stage's last checkpoint is there; returns that checkpoint."""
        run = RunFolder(self.out / name)
        if not run.steps() or run.steps()[-1] < steps:
            print(f"== {name}", flush=True)
            started = time.perf_counter()
            make(run)
            write_json(run.path / "made_by.json", {"commit": commit()})
            run.log(steps, stage_seconds=round(time.perf_counter() - started, 1))
        return run.checkpoint(steps)

    def train(self, run: RunFolder, model: Transformer, batches: Batches, codec: Codec, **settings: Any) -> None:
        config = TrainConfig(compile=self.compiled, **settings)
        Trainer(model, batches, NextToken(), config, run, bundle=self.bundle(codec)).train(run.path.name)

    def s1_general(self, codec: Codec) -> Path:
        r = self.recipe

        def make(run: RunFolder) -> None:
            model = Transformer(ModelConfig.preset("nano", vocab_size=r.vocab_size, max_position_embeddings=256))
            model.init_weights(r.seed)
            batches = PackedDataset([self.text_shards(codec)], 256, 16, seed=r.seed)
            schedule = Schedule(warmup_steps=100, decay_from=1.0)
            self.train(run, model, batches, codec, steps=r.s1_steps, learning_rate=r.learning_rate, schedule=schedule)

        return self.stage("s1-general", r.s1_steps, make)

    def s2_reasoning(self, codec: Codec, before: Path) -> Path:
        r = self.recipe

        def make(run: RunFolder) -> None:
            worked = self.worked_tokens(codec, int(0.82 * r.s2_steps * 16 * 256))
            problems = PackedDataset([worked], 256, 16, seed=r.seed, end_of_text_id=codec.tokenizer.end_of_text_id)
            text = PackedDataset([self.text_shards(codec)], 256, 16, seed=r.seed + 1)
            batches = Mixture([(problems, 0.8), (text, 0.2)])
            schedule = Schedule(warmup_steps=20, decay_from=0.5, final=0.3)
            model = load(before, device="cpu")
            self.train(run, model, batches, codec, steps=r.s2_steps, learning_rate=r.learning_rate, schedule=schedule)

        return self.stage("s2-reasoning", r.s2_steps, make)

    def s3_long_context(self, codec: Codec, before: Path) -> Path:
        r = self.recipe

        def make(run: RunFolder) -> None:
            model = extend_context(load(before, device="cpu"), rope_theta=1e6, max_position_embeddings=1024)
            long, short = split_by_length(TokenShard.load(shard_paths(self.text_shards(codec))[0]), 768)
            worked, end = self.worked_tokens(codec, self.sizes.s3_tokens), codec.tokenizer.end_of_text_id
            batches = Mixture(
                [
                    (PackedDataset([long], 1024, 4, seed=r.seed + 2), 0.45),
                    (PackedDataset([short], 1024, 4, seed=r.seed + 2), 0.15),
                    (PackedDataset([worked], 1024, 4, seed=r.seed, end_of_text_id=end), 0.4),
                ]
            )
            schedule = Schedule(warmup_steps=20, start=0.3, decay_from=0.0, final=0.2)
            self.train(run, model, batches, codec, steps=r.s3_steps, learning_rate=r.learning_rate, schedule=schedule)

        return self.stage("s3-long-context", r.s3_steps, make)

    def fine_tune(
        self,
        run: RunFolder,
        codec: Codec,
        before: Path,
        samples: Iterable[Any],
        steps: int,
        peak: float,
        rows: tuple[int, int] = (ROW, ROWS),
        **rate: float,
    ) -> None:
        batches = SampleDataset(samples, *rows, seed=self.recipe.seed, too_long="drop")
        print(f"{len(batches)} samples; {batches.dropped} were longer than a row and are left out", flush=True)
        schedule = Schedule(**{"warmup_steps": 30, "decay_from": 0.3, "final": 0.05, **rate})
        model = load(before, device="cpu")
        self.train(run, model, batches, codec, steps=steps, learning_rate=peak, schedule=schedule)

    def cold_start(self, codec: Codec, before: Path) -> Path:
        steps = self.recipe.cold_start_steps

        def make(run: RunFolder) -> None:
            chosen = itertools.islice(self.exchanges(SEED_COLD_START), samples_for(steps))
            self.fine_tune(run, codec, before, cold_start_samples(codec, chosen), steps, peak=2e-3)

        return self.stage("cold-start", steps, make)

    def reasoning_rl(self, codec: Codec, before: Path) -> Path:
        config = GRPOConfig(
            steps=self.recipe.rl_steps,
            questions_per_step=self.sizes.rl_questions,
            max_tokens=self.sizes.rl_max_tokens,
            seed=self.recipe.seed,
        )

        def make(run: RunFolder) -> None:
            model = load(before, device="cpu")
            problems = self.rl_problems(model, codec, config)
            measure = functools.partial(self.accuracy, problems=self.validation)
            GRPO(model, codec, problems, config, run, self.bundle(codec), evaluate=measure).train()

        return self.stage("grpo", config.steps * config.updates_per_step, make)

    def rl_problems(self, model: Transformer, codec: Codec, config: GRPOConfig) -> list[Problem]:
        """Questions of an unused seed that the cold start answers sometimes; kept for a resumed run."""
        file = self.out / "grpo-problems.json"
        if not file.exists():
            asked = self.first_problems(SEED_RL, max(64, self.sizes.rl_pool * config.steps))
            with ChatModel(Engine(model, max_batch=256), codec, "cold start") as chat:
                chosen = learnable(chat, asked, config, at_least=0)  # a warning, and the rest is filled up
            missing = config.questions_per_step - len(chosen)
            write_json(file, [dataclasses.asdict(p) for p in chosen + asked[: max(missing, 0)]])
            print(f"{len(chosen)} of {len(asked)} problems are learnable", flush=True)
        return [Problem(**p) for p in read_json(file)]

    def chat_data(
        self, codec: Codec, name: str, stream: Iterator[Exchange], count: int, mix: FusionMix | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Ids and loss mask of each sample, kept in a folder: to make them takes minutes."""
        folder = self.out / f"{name}-samples"
        if not folder.exists():
            made = list(fusion_samples(codec, stream, count, self.recipe.seed, mix))
            ids, masks = ([getattr(sample, part) for sample in made] for part in ("ids", "loss_mask"))
            flat, flags = np.concatenate(ids).astype(np.uint16), np.concatenate(masks).astype(bool)
            with atomic_folder(folder) as draft:
                np.savez(draft / "samples.npz", ids=flat, masks=flags, ends=np.cumsum([len(each) for each in ids]))
        kept = np.load(folder / "samples.npz")
        parts = (np.split(kept[part], kept["ends"][:-1]) for part in ("ids", "masks"))
        return list(zip(*parts, strict=True))

    def fusion(self, codec: Codec, before: Path, name: str = "fusion", mix: FusionMix | None = None) -> Path:
        r = self.recipe

        def make(run: RunFolder) -> None:
            samples = self.chat_data(codec, name, self.exchanges(SEED_FUSION), r.fusion_samples, mix)
            rate = {"decay_from": 0.45, "final": 0.5}  # where the next stage begins
            self.fine_tune(run, codec, before, samples, r.fusion_steps, peak=2.5e-3, **rate)

        return self.stage(name, r.fusion_steps, make)

    def polish_data(self, codec: Codec, name: str, mix: FusionMix | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
        stream = self.exchanges(SEED_POLISH, POLISH_SHARES)
        return self.chat_data(codec, name, stream, self.recipe.polish_samples, mix or POLISH_MIX)

    def polish(self, codec: Codec, before: Path, name: str = "polish", mix: FusionMix | None = None) -> Path:
        r = self.recipe

        def make(run: RunFolder) -> None:
            samples = self.polish_data(codec, name, mix)
            rate = {"decay_from": 0.0, "final": 0.03}
            rows = (LONG_ROW, LONG_ROWS)
            self.fine_tune(run, codec, before, samples, r.polish_steps, peak=1.25e-3, rows=rows, **rate)

        return self.stage(name, r.polish_steps, make)

    # ---- evaluation and export ----------------------------------------------------------------------------------

    def accuracy(self, chat: ChatModel, problems: list[Problem]) -> float:
        options = ChatOptions(enable_thinking=True, max_tokens=self.sizes.max_tokens, **PRESETS["thinking"])
        return Score.of(ask(chat, problems, options)).accuracy

    def held_out_accuracy(self, checkpoint: Path) -> float:
        """Thinking accuracy on the held-out problems, kept beside the checkpoint's run."""
        file = checkpoint.parent.parent / "held_out.json"
        if not file.exists():
            with ChatModel.from_pretrained(checkpoint, max_batch=256) as chat:
                write_json(file, {"accuracy": self.accuracy(chat, self.held_out)})
        return read_json(file)["accuracy"]

    def export(self, checkpoint: Path, target: Path) -> None:
        """A Hugging Face folder that serves: weights, tokenizer, template, sampling presets, what to say of itself."""
        model, codec = load(checkpoint, device="cpu"), Codec.from_pretrained(checkpoint)
        generation = {
            "do_sample": True,
            **codec.generation_config,
            **PRESETS["thinking"],
            "top_p": 0.95,
            "top_k": 20,
            "sansi_presets": PRESETS,
        }
        with atomic_folder(target) as draft:
            save(model, draft, generation_config=generation)
            codec.save(draft)
            write_json(draft / CARD_FILE, read_json(Path(__file__).with_name(CARD_FILE)))
            write_json(draft / "recipe.json", config_to_dict(self.recipe))

    def measure(self, model: str, evaluation: str) -> budget_curve.BudgetCurve:
        """The budget curve of one folder of the run, written to another."""
        folder, out = str(self.out / model), str(self.out / evaluation)
        return budget_curve.run(folder, self.sizes.held_out, out=out, max_tokens=self.sizes.max_tokens)

    def stages(self, codec: Codec, until: str = STAGES[-1]) -> dict[str, Path]:
        """The last checkpoint of every stage up to `until`, each made from the one before it."""
        makers = (
            *(self.s2_reasoning, self.s3_long_context, self.cold_start, self.reasoning_rl),
            *(self.fusion, self.polish),
        )
        done = {STAGES[0]: self.s1_general(codec)}
        for name, make in zip(STAGES[1:], makers, strict=True):
            if until in done:
                break
            done[name] = make(codec, list(done.values())[-1])
        return done

    def run(self, ablation: bool, until: str = STAGES[-1]) -> None:
        self.build_corpus()
        codec = self.tokenizer()
        done = self.stages(codec, until)
        if until != STAGES[-1]:
            return
        cold, reasoner = done["cold-start"], done["grpo"]
        gain = {"cold start": self.held_out_accuracy(cold), "after GRPO": self.held_out_accuracy(reasoner)}
        self.export(done[STAGES[-1]], self.out / "model")
        curve = self.measure("model", "evaluation")
        self.report(gain, curve)
        if ablation:
            self.run_ablation(codec, reasoner, curve)

    def run_ablation(self, codec: Codec, reasoner: Path, curve: budget_curve.BudgetCurve) -> None:
        """The same fusion, its cut thoughts replaced by whole ones; both curves in one picture."""
        fused = self.fusion(codec, reasoner, "fusion-without-cuts", without_cuts(FusionMix()))
        polished = self.polish(codec, fused, "polish-without-cuts", without_cuts(POLISH_MIX))
        self.export(polished, self.out / "model-without-cuts")
        other = self.measure("model-without-cuts", "evaluation-without-cuts")
        labels = ["trained on cut thoughts", "without cut thoughts"]
        budget_curve.plot([curve, other], self.out / "evaluation" / "ablation.png", labels)

    def report(self, gain: dict[str, float], curve: budget_curve.BudgetCurve) -> None:
        runs = {name: RunFolder(self.out / name).metrics() for name in STAGES}
        plot_training(runs, self.out / "plots" / "training.png")
        minutes = [f"| {s} | {max(r.get('stage_seconds', 0) for r in rows) / 60:.1f} |" for s, rows in runs.items()]
        lines = ["# nano", "", "| stage | minutes |", "| --- | --- |", *minutes, ""]
        lines += [f"Held-out thinking accuracy, {name}: {100 * value:.1f}%\n" for name, value in gain.items()]
        lines += [budget_curve.markdown_table(budget_curve.table_rows(curve))]
        lines += ["![training](plots/training.png)", "", "![budget curve](evaluation/budget_curve.png)", ""]
        write_text(self.out / "report.md", "\n".join(lines))
        print("\n".join(lines), flush=True)


def commit() -> str:
    """The commit that runs, marked when the tree differs from it; "unknown" outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def without_cuts(mix: FusionMix) -> FusionMix:
    return dataclasses.replace(mix, cut=0.0, thinking=mix.thinking + mix.cut)


def samples_for(steps: int) -> int:
    """Chat samples that fill `steps` of the rows about once: they are 105 tokens long on average."""
    return max(200, steps * ROWS * ROW // 105)


def split_by_length(shard: TokenShard, length: int) -> tuple[TokenShard, TokenShard]:
    """Documents of at least `length` tokens, and the rest."""
    ends = np.append(shard.starts[1:], len(shard.tokens))
    documents = [shard.tokens[a:b] for a, b in zip(shard.starts, ends, strict=True)]
    long, short = [d for d in documents if len(d) >= length], [d for d in documents if len(d) < length]
    return TokenShard.from_documents(long, shard.tokens.dtype), TokenShard.from_documents(short, shard.tokens.dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/nano/default"), help="run folder (default: %(default)s)")
    parser.add_argument("--corpus", type=Path, default=Path("data/corpus"), help="built here if it is not there")
    parser.add_argument("--sources", nargs="+", help="text sources by name (default: all; see sansi/data/sources.py)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiply the steps of every stage")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches")
    parser.add_argument("--problems", type=int, default=Sizes.held_out, help="of the evaluation (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of the training")
    parser.add_argument("--no-compile", action="store_true", help="do not compile; for machines without a C++ compiler")
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1], help="stop after this stage")
    parser.add_argument("--ablation", action="store_true", help="also train and measure without cut thoughts")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = Recipe(seed=arguments.seed).scaled(arguments.scale)
    try:
        sizes = Sizes(held_out=arguments.problems)
        nano = Nano(recipe, arguments.out, arguments.corpus, not arguments.no_compile, sizes, arguments.sources)
        nano.run(arguments.ablation, arguments.until)
    except SansiError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
