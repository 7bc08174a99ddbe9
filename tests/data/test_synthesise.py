"""Synthetic documents: what a model answers is parsed, filtered and kept with its origin, or left out with a reason."""

import ast
import json
import re

import httpx
import pytest
from sansi.base import SansiError
from sansi.base.errors import ConfigError
from sansi.client.bulk import Budget, EndpointSettings
from sansi.data.annotate import annotate
from sansi.data.corpus.read import read_corpus
from sansi.data.documents import RawDocument
from sansi.data.problems import FAMILIES, evaluation_set
from sansi.data.store import read_entries
from sansi.data.synthesise import PROMPTS, SynthesiseConfig, reasoning_documents, synthetic_corpus
from sansi.data.synthesise.filters import reason_against
from sansi.data.synthesise.make import excerpt
from sansi.data.synthesise.parsing import code, pairs, prose
from sansi.data.synthesise.running import check_code, emptied
from sansi.sandbox import best_rung

SEED = """The river rises in the hills behind the town and runs for forty miles through meadows before it reaches the
sea. In wet years it floods the lower fields, which is why nobody has built there. The mills stood further up, where
the banks are steep and the water is quick; three of them can still be seen, without their wheels. A path follows the
river on its northern side. It is dry in summer, and in winter it is closed after heavy rain."""
TEXTBOOK = """# How rivers shape where people settle

Water decides where towns can stand. A floodplain is the flat land beside a river that is under water when the river
rises above its banks. Since nobody can tell years in advance how high the next flood will come, farmers leave such
ground to grass and put their houses on a terrace, which is an older bank that the river no longer reaches.

Quick water carries energy. A mill takes it with a wheel: the steeper the slope, the faster the flow, and the more a
wheel can turn. Suppose a stream falls two metres over twenty; a mill there gets as much as one on a slower stream gets
from ten times the water. This is why old mills are found in narrow valleys.

In summary, slow rivers make rich fields that are dangerous to live on, and steep ones drive machines."""
PAIRS = """Q: Why are the fields nearest to the water without houses?

A: They are under water whenever a wet year makes the river rise, so that building there would be unwise.

Q: What would a visitor find of the old mills?

A: The buildings of three are left, but the wheels that once drove them are gone, so they can not work."""
CODE = '''Rivers rise after rain. Write a function that says on which days a river is above a level.

```python
def flood_days(levels: list[float], limit: float) -> list[int]:
    """Days, counted from 0, on which the river is above the limit."""
    return [day for day, level in enumerate(levels) if level > limit]
```

```python
assert flood_days([1.0, 3.0, 2.5], 2.0) == [1, 2]
assert flood_days([], 2.0) == []
assert flood_days([2.0], 2.0) == []
assert flood_days([5.0, 5.0], 1.0) == [0, 1]
```'''
REWRITE = """Between the hills and the sea lie forty miles of water meadow, drained by a single river. Because it leaves
its bed after wet winters, the flat ground beside it was never settled; houses keep to the slopes. Upstream, where the
valley narrows, the current once drove mills. Three survive, though their wheels have been taken away. Walkers can keep
to the northern bank for most of the year, but not after a long rain, when the way is shut."""
RIGHT = {"textbook": TEXTBOOK, "questions": PAIRS, "code": CODE, "rewrite": REWRITE}

try:
    best_rung()
    SANDBOX = None
except SansiError as error:
    SANDBOX = str(error)
needs_sandbox = pytest.mark.skipif(SANDBOX is not None, reason=f"no sandbox holds here: {SANDBOX}")


def seed(number=0, text=SEED, **fields):
    return annotate(RawDocument(f"{number}", text, language="en", **fields), "rivers", "CC-BY-4.0")


class Endpoint:
    def __init__(self, answer):
        self.answer, self.asked = answer, []
        self.transport = httpx.MockTransport(self.handle)

    def handle(self, request):
        body = json.loads(request.content)
        question = body["messages"][0]["content"]
        name = next(name for name, prompt in PROMPTS.items() if question.startswith(prompt.text))
        self.asked.append((name, body))
        told = self.answer(name, question)
        if isinstance(told, httpx.Response):
            return told
        choice = {"message": {"role": "assistant", "content": told}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 50}
        return httpx.Response(200, json={"model": "writer-7b", "choices": [choice], "usage": usage})


def config(**fields):
    endpoint = EndpointSettings("http://model.test/v1", "writer-7b", concurrency=2, first_wait=0.001)
    return SynthesiseConfig(**{"endpoint": endpoint, "prompts": tuple(PROMPTS), **fields})


def made(tmp_path, answer, seeds=None, **fields):
    endpoint = answer if isinstance(answer, Endpoint) else Endpoint(answer)
    out = tmp_path / "out"
    report, asked = synthetic_corpus(
        out, config(**fields), seeds or [seed()], tmp_path / "answers", transport=endpoint.transport
    )
    entries = [e for file in sorted((out / "ledger").glob("**/*.parquet")) for e in read_entries(file)]
    return list(read_corpus(out)), entries, report, asked


@needs_sandbox
def test_right_answers_become_documents_with_their_origin(tmp_path):
    documents, entries, report, asked = made(tmp_path, lambda name, question: RIGHT[name])
    assert [document.text.split()[0] for document in documents] == ["#", "Q:", "Rivers", "Between"]
    for document, name in zip(documents, PROMPTS, strict=True):
        assert document.id == f"synthetic/{name}/rivers/0/0"
        origin = document.provenance
        assert (origin["generator"], origin["prompt"]) == ("writer-7b", f"{name}/1")
        assert (origin["seed_document"], origin["seed_licence"]) == ("rivers/0", "CC-BY-4.0")
        assert document.licence == "CC-BY-4.0"
        assert not document.original
        assert (document.kind, document.language) == (("code", "python") if name == "code" else ("prose", "en"))
    assert [entry.state for entry in entries] == ["kept"] * 4
    assert report.documents == asked.ok == 4


WRONG = {
    "an echo of the seed": ("rewrite", SEED, "echo of the seed"),
    "an echo of the prompt": ("rewrite", PROMPTS["rewrite"].text, "echo of the prompt"),
    "too short": ("rewrite", "A river runs to the sea.", "too short"),
    "a refusal": ("rewrite", "I'm sorry, but I can't help with that.", "answer refused"),
    "a remark": ("rewrite", f"Sure! {REWRITE}", "remark"),
    "of its source": ("rewrite", f"{REWRITE} All of this is what the source tells.", "speaks of its source"),
    "one sentence again and again": ("rewrite", f"{REWRITE}\n" * 6, "repeats itself"),
    "without a heading": ("textbook", TEXTBOOK.removeprefix("# "), "another format"),
    "no pairs": ("questions", "What is a river? It is water that runs. " * 10, "another format"),
    "no code": ("code", "Here is how one would do it: " * 20, "another format"),
    "code that is none": ("code", CODE.replace("return [", "return [["), "code: no Python"),
    "cut": ("rewrite", httpx.Response(200, json={"model": "writer-7b", "choices": [{"message": {
        "role": "assistant", "content": REWRITE}, "finish_reason": "length"}]}), "answer cut"),
    "no answer": ("rewrite", httpx.Response(400), "answer failed"),
    "another language": ("rewrite", """Zwischen den Hügeln und dem Meer liegen vierzig Meilen nasser Wiesen, durch die
ein einziger Fluss zieht. Weil er nach feuchten Wintern sein Bett verlässt, hat dort nie jemand gebaut, und die Häuser
stehen an den Hängen. Weiter oben, wo das Tal eng wird, trieb die Strömung einst Mühlen an, von denen drei noch
stehen, wenn auch ohne ihre Räder. Wer wandert, bleibt am nördlichen Ufer.""", "another language"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_answers_are_left_out_with_their_rule(tmp_path, case):
    name, wrong, rule = WRONG[case]
    broken = "2000-mile-wrong"
    seeds = [seed(), seed(1, SEED.replace("forty miles", broken))]

    def answer(asked, question):
        return wrong if broken in question else RIGHT[asked]

    if name == "code":
        with pytest.raises(SansiError, match="no synthetic document is left"):
            made(tmp_path, answer, seeds[1:], prompts=(name,))
        return
    documents, entries, report, _ = made(tmp_path, answer, seeds, prompts=(name,))
    assert [(entry.state, entry.rule) for entry in entries] == [("kept", None), ("dropped", rule)]
    assert entries[1].id == f"synthetic/{name}/rivers/1/0"
    assert entries[1].value
    assert len(documents) == 1
    assert report.sources[0].dropped == {rule: 1}


def test_the_same_document_twice_is_one(tmp_path):
    documents, entries, *_ = made(
        tmp_path, lambda name, question: REWRITE, [seed(), seed(1, f"{SEED} Twice.")], prompts=("rewrite",)
    )
    assert len(documents) == 1
    assert entries[1].rule == "repeated"


def test_a_second_run_asks_nothing_and_makes_the_same_bytes(tmp_path):
    endpoint = Endpoint(lambda name, question: RIGHT[name])
    first = made(tmp_path, endpoint, prompts=("textbook", "rewrite"))[0]
    (tmp_path / "out").rename(tmp_path / "before")
    assert made(tmp_path, endpoint, prompts=("textbook", "rewrite"))[0] == first
    assert len(endpoint.asked) == 2
    files = [sorted((tmp_path / each / "documents").glob("**/*.parquet")) for each in ("out", "before")]
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


def test_seeds_are_chosen_evenly_and_samples_are_each_asked_for(tmp_path):
    seeds = [seed(n, f"{SEED} It is river number {n}.") for n in range(30)]
    seeds += [seed(99, "too short"), seed(98, SEED)]
    endpoint = Endpoint(lambda name, question: f"{REWRITE} {question[-30:-10]} {len(endpoint.asked)}")
    documents, *_ = made(tmp_path, endpoint, seeds, prompts=("rewrite",), documents=3, samples=2)
    ids = [document.id.split("/")[3:] for document in documents]
    assert len(endpoint.asked) == 6
    assert [sample for _, sample in ids] == ["0", "1"] * 3
    assert [int(number) for number, _ in ids] == sorted(int(number) for number, _ in ids)


def test_synthetic_documents_are_no_seeds(tmp_path):
    with pytest.raises(SansiError, match="no synthetic document is left"):
        made(tmp_path, lambda *_: REWRITE, [seed(provenance={"generator": "x"})])


def test_the_budget_holds(tmp_path):
    seeds = [seed(n, f"{SEED} It is river number {n}.") for n in range(5)]
    endpoint = Endpoint(lambda name, question: f"{REWRITE} {question[-30:-10]}")
    _, entries, *_ = made(tmp_path, endpoint, seeds, prompts=("rewrite",), budget=Budget(max_requests=2))
    assert len(endpoint.asked) == 2
    assert [entry.value for entry in entries if entry.state == "dropped"] == ["over budget"] * 3


# ---- code


@needs_sandbox
@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("", "", None),
        ("level > limit", "level < limit", "code: fails its test"),
        ("    return [day", "    while True: pass\n    return [day", "code: fails its test"),
        ("    return [day", "    import os; os._exit(0)\n    return [day", "code: fails its test"),
        ("\n```python\nassert", "\n```python\nraise SystemExit\nassert", "code: fails its test"),
    ],
)
def test_code_must_pass_its_test(monkeypatch, old, new, rule):
    from dataclasses import replace

    from sansi.data.synthesise import running

    monkeypatch.setattr(running, "LIMITS", replace(running.LIMITS, seconds=2.0))
    found = check_code(code(CODE.replace(old, new, 1) if old else CODE))
    assert (found.rule if found else None) == rule


@needs_sandbox
def test_a_test_that_passes_without_the_code_is_none():
    idle = re.sub(r"assert .*", "assert flood_days([1.0], 2.0) is None or True", CODE)
    assert check_code(code(idle)).rule == "code: the test passes without it"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (CODE.replace("def flood_days", "def flood days"), "code: no Python"),
        (CODE.replace("assert flood_days([], 2.0) == []\n", "").replace("assert flood_days([2.0], 2.0) == []\n", ""),
         "code: few asserts"),
        (CODE.replace("assert flood_days", "def flood_days(*_): return []\nassert flood_days", 1),
         "code: the test defines what it tests"),
        (re.sub(r"assert flood_days.*", "assert 1 + 1 == 2", CODE), "code: the test asks for nothing"),
        (re.sub(r"(?s)def flood_days.*?limit\]\n", "flood_days = max\n", CODE, count=1), "code: no function"),
    ],
)  # fmt: skip
def test_what_is_wrong_before_it_is_run(text, rule):
    assert check_code(code(text)).rule == rule


def test_emptied_functions_do_nothing():
    source = "class A:\n    def f(self):\n        return 1\nasync def g(x): return x\nX = 3"
    names = {}
    exec(emptied(ast.parse(source)), names)
    assert names["A"]().f() is None
    assert names["X"] == 3


# ---- parsing


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (PAIRS, 2),
        (PAIRS.replace("Q:", "**Q:**").replace("A:", "**A:**"), 2),
        (PAIRS.replace("Q:", "Question 1:").replace("A:", "Answer:"), 2),
        (f"```\n{PAIRS}\n```", 2),
        ("1. Q: What runs?\nA: Water.\n2. Q: Where does it run to?\nA: To the sea.", 2),
        ("Q: What runs?\nA: Water.", None),
        ("Q: What runs?\nA: Water.\nQ: What runs?\nA: It.", None),
        ("", None),
    ],
)
def test_pairs(answer, count):
    found = pairs(answer)
    assert (None if found is None else len(found)) == count
    assert not found or all(question and reply and "Q:" not in question + reply for question, reply in found)


def test_prose_loses_its_fence_alone():
    assert prose("```markdown\n# A\n\ntext\n```") == "# A\n\ntext"
    assert prose("a\n```\nb\n```") == "a\n```\nb\n```"


@pytest.mark.parametrize("answer", ["```python\nx\n```", "text\n```python\nx\n```", f"{CODE}\n```python\nmore\n```"])
def test_code_has_a_task_and_two_blocks(answer):
    assert code(answer) is None


def test_what_is_shown_of_a_seed_ends_with_a_paragraph():
    assert excerpt("one\n\ntwo\n\nthree", 9) == "one\n\ntwo"
    assert excerpt("short", 100) == "short"
    assert excerpt("x" * 50, 10) == "x" * 10


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_break_no_rule(name):
    assert reason_against(RIGHT[name], SEED, PROMPTS[name], 0.3) is None


# ---- worked problems


def test_worked_problems_are_never_those_of_evaluations(tmp_path):
    documents = list(reasoning_documents(60, stream=5))
    assert documents == list(reasoning_documents(60, stream=5))
    assert len({document.text for document in documents}) > 55
    other = {document.text for document in reasoning_documents(60, stream=6)}
    assert len(other & {document.text for document in documents}) < 6  # small families repeat by chance
    assert {document.provenance["prompt"] for document in documents} <= {f"problem/{name}" for name in FAMILIES}
    held = evaluation_set(20)
    kept = list(reasoning_documents(200, stream=0, held_out={problem.key for problem in held}))
    assert not {p.question for p in held} & {"\n\n".join(d.text.split("\n\n")[:-2]) for d in kept}


def test_worked_problems_need_no_endpoint(tmp_path):
    report, asked = synthetic_corpus(tmp_path / "out", SynthesiseConfig(reasoning=20), (), tmp_path / "answers")
    assert (report.documents, asked) == (20, None)
    assert not (tmp_path / "answers").exists()


# ---- settings


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, 'neither an "endpoint" nor'),
        ({"reasoning": 5, "prompts": ["textbok"]}, 'did you mean "textbook"'),
        ({"reasoning": 5, "families": ["x"]}, '"families" names "x"'),
        ({"reasoning": 5, "stream": 1000}, "below 1000"),
        ({"reasoning": 5, "samples": 0}, "samples"),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m"}, "prompts": []}, '"prompts" is empty'),
    ],
)
def test_bad_settings_are_named(fields, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        SynthesiseConfig(**fields)


def test_the_command_makes_worked_problems(sansi, tmp_path):
    out = tmp_path / "problems"
    done = sansi("data", "synthesise", "--reasoning", "5", "--out", str(out))
    assert "5 documents" in done.out
    assert len(list(read_corpus(out))) == 5


@pytest.mark.slow
def test_a_recipe_makes_them_too(sansi, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'name = "worked"\nseed = 1\n\n[[stage]]\nname = "problems"\nkind = "synthesise"\nreasoning = 4\nstream = 3\n'
    )
    sansi("make", str(recipe), "--out", str(tmp_path / "run"))
    (folder,) = tmp_path.glob("run/**/problems")
    assert [document.provenance["stream"] for document in read_corpus(folder)] == ["3"] * 4


def test_the_command_says_what_is_missing(sansi, tmp_path):
    done = sansi("data", "synthesise", "--url", "http://127.0.0.1:1/v1", "--model", "m")
    assert done.code and "--corpus" in done.err
    done = sansi("data", "synthesise", str(tmp_path / "none.toml"))
    assert done.code and "none.toml" in done.err
