"""A recipe's file is checked as a whole, and every mistake in it is named with its stage before anything is made."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from sansi.base import ConfigError, SansiError
from sansi.recipes.kinds import KINDS, NOT_BUILT
from sansi.recipes.overrides import Override, parse_override
from sansi.recipes.recipe import LIBRARY, find_recipe, load_recipe, packaged
from sansi.recipes.stages import Role

PROBLEMS = '[[stage]]\nkind = "problems"\nname = "asked"\ncount = 3\n'
CORPUS = '[[stage]]\nkind = "corpus"\nname = "corpus"\ninputs = { held_out = "asked" }\n'
CHATS = '[[stage]]\nkind = "samples"\nname = "chats"\nstyle = "conversations"\ninputs = { tokenizer = "nano" }\n'


def write(folder: Path, text: str) -> Path:
    file = folder / "r.toml"
    file.write_text(text)
    return file


def problems(folder: Path, text: str, *changes: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_recipe(write(folder, text), [parse_override(change) for change in changes])
    assert str(caught.value).startswith(f"{folder / 'r.toml'}: ")
    return caught.value.problems


def one_problem(folder: Path, text: str, *changes: str) -> str:
    (found,) = problems(folder, text, *changes)
    return found


def test_a_recipe_is_read(tmp_path):
    recipe = load_recipe(write(tmp_path, f'name = "r"\nseed = 7\nabout = "what it is"\n{PROBLEMS}{CORPUS}'))
    assert (recipe.name, recipe.seed, recipe.about, recipe.until) == ("r", 7, "what it is", "corpus")
    assert [stage.kind.name for stage in recipe.stages] == ["problems", "corpus"]
    assert recipe.stage("corpus").inputs == {"held_out": ("asked",)}
    assert recipe.stage("asked").config.count == 3
    assert [stage.name for stage in recipe.up_to("asked")] == ["asked"]
    assert [stage.name for stage in recipe.behind(["asked"])] == ["asked", "corpus"]


@pytest.mark.parametrize("name", sorted(packaged()))
def test_the_recipes_that_came_along_are_whole(name):
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.about
    for stage in recipe.stages:
        for role, given in stage.inputs.items():
            assert given and role in stage.kind.inputs


def test_every_mistake_of_a_file_comes_at_once(tmp_path):
    text = """
        nmae = "r"
        seed = "3"
        until = "corpsu"

        [[stage]]
        kind = "corups"
        name = "corpus"

        [[stage]]
        kind = "dpo"
        name = "preferences"

        [[stage]]
        kind = "tokenizer"
        name = "Tokens!"
        inputs = { corpus = "corpus", heldout = "x" }
        vocab_siez = 3
        every = "2"

        [[stage]]
        kind = "pretrain"
        name = "corpus"
        inputs = { batches = "preferences", model = "./nowhere" }
        steps = nan
        batch_size = 0
        sequence_length = 8
        schedule = { kind = "linear" }
    """
    assert problems(tmp_path, text) == [
        'unknown key "nmae"; did you mean "name"?',
        '"name" is missing',
        '"seed" must be a whole number from 0 to 2147483647, not "3"',
        '"until" is "corpsu", which is no stage; did you mean "corpus"?',
        'stage "corpus": there is no kind "corups"; did you mean "corpus"?',
        f'stage "preferences": stages of the kind "dpo" are not built yet: {NOT_BUILT["dpo"]}',
        'stage "Tokens!": "Tokens!" is no name of a stage: give lower-case letters, digits, - and _, at most 64 of '
        "them, a letter or digit first",
        'stage "Tokens!": unknown key "vocab_siez" of the kind tokenizer; did you mean "vocab_size"?',
        'stage "Tokens!": "vocab_size" is missing',
        'stage "Tokens!": "every" must be a whole number, not "2"; write 2, without quotation marks',
        'stage "Tokens!": "heldout" is no input of the kind tokenizer; did you mean "held_out"?',
        'stage "corpus": there is a stage of this name before it; give each its own',
        'stage "corpus": "steps" must be a whole number, not nan',
        'stage "corpus": schedule: "kind" is "linear"; known: cosine, wsd',
        'stage "corpus": the input "model" is "./nowhere", which is no stage before this one and no path; '
        "known: Tokens!, corpus, preferences",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a recipe needs stages"),
        ("stage = 3", "a recipe needs stages"),
        ("stage = []", "a recipe needs stages"),
        ("[stage]\nkind = 'corpus'", "a recipe needs stages"),
        ("[[stages]]\nkind = 'corpus'", 'unknown key "stages"; did you mean "stage"?'),
        (f'name = "R/x"\n{PROBLEMS}', "it names a folder"),
        (f'name = "r"\nseed = -1\n{PROBLEMS}', '"seed" must be'),
        (f'name = "r"\nseed = true\n{PROBLEMS}', '"seed" must be'),
        (f'name = "r"\nabout = 3\n{PROBLEMS}', '"about" must be a text'),
        (
            'name = "r"\n[[stage]]\nname = "x"',
            'stage "x": "kind" is missing; known: corpus, document_weights, evaluate',
        ),
        ('name = "r"\n[[stage]]\nkind = "corpus"', 'stage 1: "name" is missing'),
        (f'name = "r"\n{CORPUS}', 'the input "held_out" is "asked", which is no stage before this one'),
        (f'name = "r"\n{PROBLEMS}inputs = "x"\n', '"inputs" must be a table'),
        (f'name = "r"\n{PROBLEMS}inputs = {{ held_out = 3 }}\n', "must be the name of a stage, or a path, not 3"),
        (f'name = "r"\n{PROBLEMS}inputs = {{ model = ["a/b", "c/d"] }}\n', 'the input "model" is one, not 2'),
        (f'name = "r"\n{PROBLEMS}inputs = {{ held_out = "asked" }}\n', "no stage before this one"),
        (
            f'name = "r"\n{PROBLEMS}[[stage]]\nkind = "pack"\nname = "text"\ninputs = {{ corpus = "asked" }}',
            'the input "corpus" is to be corpus; "asked" gives problems',
        ),
        (
            f'name = "r"\n{PROBLEMS}[[stage]]\nkind = "export"\nname = "m"',
            'the input "model" is missing: the model (model)',
        ),
        (f'name = "r"\n{CHATS}', 'the input "conversations" is missing, which the style "conversations" reads'),
        (f'name = "r"\n{CHATS}seed = 3', '"seed" is of made samples; conversations are yours'),
        (f'name = "r"\n{CHATS.replace("conversations", "fusion")}', '"count" is missing: the stream of samples'),
        (
            f'name = "r"\n{CORPUS.replace("asked", "/")}sources = ["brwon"]',
            'unknown source "brwon"; did you mean "brown"?',
        ),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path, text, told):
    assert any(told in problem for problem in problems(tmp_path, text))


@pytest.mark.parametrize(
    "stage", ["corpus", "tokenizer", "worked", "cold-start-samples", "grpo-problems", "fusion-samples"]
)
def test_what_is_evaluated_must_be_held_out_of_all_that_the_model_learned_from(stage):
    with pytest.raises(ConfigError) as caught:
        load_recipe("tiny", [parse_override(f"{stage}.inputs.held_out=[]")])
    told = f'stage "{stage}": what "evaluation" asks is not held out of it; add "held-out" to its "held_out"'
    assert told in caught.value.problems


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("mixed.inputs.tokens='text'", 'stage "mixed": the part "worked" is not among the inputs'),
        ("mixed.parts=[{input='text',weight=1}]", 'stage "mixed": the input "worked" is no part; give it a weight'),
        ("mixed.parts=[]", 'stage "mixed": "parts" is empty'),
        (
            "general.inputs={batches='text'}",
            'stage "general": the input "tokenizer" is missing, which a new model needs',
        ),
        ("reasoning.preset='Qwen3-0.6B'", 'stage "reasoning": "preset" and "shape" are for a new model'),
        ("general.preset='nanoo'", 'stage "general": unknown preset "nanoo"'),
        ("general.shape={head_dim=7}", 'stage "general": "head_dim" must be even for RoPE, not 7'),
        ("general.shape={vocab=7}", 'stage "general": unknown key "vocab"'),
        (
            "grpo-accuracy.inputs={model='grpo'}",
            'stage "grpo-accuracy": the input "problems" is missing: what is asked',
        ),
        ("evaluation.labels=['a','b']", 'stage "evaluation": "labels" are 2, and 1 curves are drawn'),
        ("held-out.draw='file'", 'stage "held-out": the input "file" is missing, which "draw" names'),
        ("held-out.tasks=['lag_counting']", 'stage "held-out": tasks: there is no task "lag_counting"'),
        ("worked.content='documents'", 'stage "worked": "tokens" bounds exchanges'),
        ("model.thinking={temprature=1}", 'stage "model": thinking: Preset: unknown key "temprature"'),
        ("model.thinking={temperature=-1}", 'stage "model": thinking: Preset: temperature must be between 0 and 10000'),
        ("cold-start-samples.mix={cut=1}", 'stage "cold-start-samples": "mix" belongs to the style "fusion"'),
        ("corpus.limit_bytes={udhr=1000}", 'stage "corpus": "limit_bytes" names "udhr", which is not built'),
        (
            "cold-start-samples.seed=1000",
            'stage "cold-start-samples": training seed 1000 is out of range; use 0 to 999',
        ),
        ("worked.seed=-1", 'stage "worked": training seed -1 is out of range'),
        ("tokenizer.problem_seed=5000", 'stage "tokenizer": training seed 5000 is out of range'),
        ("grpo-problems.seed=1_000_000", 'stage "grpo-problems": training seed 1000000 is out of range'),
        ("held-out.seed=1_000_000_000", 'stage "held-out": evaluation seed 1000000000 is out of range'),
        ("held-out.difficulty=2", 'stage "held-out": "difficulty" is of "tasks", and none are named'),
        (
            "held-out.tasks=['gcd'] held-out.difficulty=99",
            'stage "held-out": tasks: difficulty 99 of gcd: its levels are 0 to',
        ),
        (
            "held-out.draw='sums' held-out.seed=3",
            'stage "held-out": "seed" is of problems that are drawn; "draw" is "sums"',
        ),
        ("held-out.at_least=3", 'stage "held-out": "at_least" is for choosing, which needs the input "model"'),
        ("text.direct_every=2", 'stage "text": "direct_every" is of exchanges, and documents are packed'),
        ("text.inputs.held_out='held-out'", 'stage "text": the input "held_out" is of exchanges; documents are held'),
        ("worked.min_tokens=9", 'stage "worked": "min_tokens" is of documents, and exchanges are packed'),
        ("grpo-accuracy.budgets=[8]", 'stage "grpo-accuracy": "budgets" is for the measure "budget_curve"'),
        ("evaluation.asking.temperature=0.7", 'stage "evaluation": "temperature" is for the measure "accuracy"'),
        ("grpo.inputs.validation=[]", 'stage "grpo": "evaluate_every" is for measuring, which needs the input'),
        ("general.evaluate_every=2", 'stage "general": "evaluate_every" is for evaluations in between'),
    ],
)
def test_what_nobody_reads_and_what_does_not_fit_is_refused_before_anything_is_made(change, told):
    with pytest.raises(ConfigError) as caught:
        load_recipe("tiny", [parse_override(one) for one in change.split()])
    assert any(problem.startswith(told) for problem in caught.value.problems), caught.value.problems


def test_a_mistake_of_toml_is_told_with_its_line(tmp_path):
    with pytest.raises(SansiError, match=r"r\.toml: not valid TOML \(.*line 2.*\); correct it there"):
        load_recipe(write(tmp_path, 'name = "r"\nseed = = 3\n'))
    (tmp_path / "b.toml").write_bytes(b"name = \xff")
    with pytest.raises(SansiError, match="not valid TOML"):
        load_recipe(tmp_path / "b.toml")
    with pytest.raises(SansiError, match=r"nested too deep|not valid TOML"):
        load_recipe(write(tmp_path, "x = " + "[" * 100_000))


def test_a_recipe_is_found_by_name_or_path(tmp_path):
    assert find_recipe("nano") == LIBRARY / "nano.toml"
    for name, told in {
        "nanno": 'there is no recipe "nanno"; did you mean "nano"',
        "my.toml": "my.toml: no such file",
        str(tmp_path): "is a folder; a recipe is a TOML file",
    }.items():
        with pytest.raises(SansiError, match=told.replace(".", r"\.")):
            find_recipe(name)


@pytest.mark.parametrize("kind", sorted(NOT_BUILT))
def test_a_kind_that_is_not_built_is_refused_by_name(tmp_path, kind):
    found = one_problem(tmp_path, f'name = "r"\n[[stage]]\nkind = "{kind}"\nname = "x"')
    assert found == f'stage "x": stages of the kind "{kind}" are not built yet: {NOT_BUILT[kind]}'


def test_paths_are_those_of_the_recipes_folder(tmp_path, monkeypatch):
    (tmp_path / "given").mkdir()
    text = f'name = "r"\n{CORPUS.replace("asked", "given")}'
    monkeypatch.chdir("/")
    assert load_recipe(write(tmp_path, text)).stage("corpus").inputs == {"held_out": (str(tmp_path / "given"),)}
    monkeypatch.chdir(tmp_path)  # those of the command line are of the working directory
    for change in ("corpus.inputs.held_out=./given", "corpus.inputs.held_out=['./given']"):
        changed = load_recipe(write(tmp_path, f'name = "r"\n{PROBLEMS}{CORPUS}'), [parse_override(change)])
        assert changed.stage("corpus").inputs == {"held_out": (str(tmp_path / "given"),)}


def test_a_model_of_a_hub_may_be_given(tmp_path):
    text = f'name = "r"\n{PROBLEMS}inputs = {{ model = "Qwen/Qwen3-0.6B" }}\n'
    for model in ("Qwen/Qwen3-0.6B", "qwen3-0.6b", "nano", "somebody/theirs@v2"):
        stage = load_recipe(write(tmp_path, text.replace("Qwen/Qwen3-0.6B", model))).stage("asked")
        assert stage.inputs == {"model": (model,)}


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("s1.steps=3", ("s1", "steps"), 3),
        ("s1.learning_rate = 1e-3", ("s1", "learning_rate"), 1e-3),
        ("s1.compile=false", ("s1", "compile"), False),
        ("s1.schedule.kind=cosine", ("s1", "schedule", "kind"), "cosine"),
        ('s1.preset="Qwen3-0.6B"', ("s1", "preset"), "Qwen3-0.6B"),
        ("c.sources=['brown', 'udhr']", ("c", "sources"), ["brown", "udhr"]),
        ("s1.shape={hidden_size = 8}", ("s1", "shape"), {"hidden_size": 8}),
        ("seed=5", ("seed",), 5),
        ("a.b=1\nc=2", ("a", "b"), "1\nc=2"),
    ],
)
def test_values_of_the_command_line_are_typed_as_in_toml(text, path, value):
    assert parse_override(text) == Override(path, value)


@pytest.mark.parametrize("text", ["s1.steps", "=3", ".steps=3", "s1.=3", ""])
def test_what_sets_nothing_is_refused(text):
    with pytest.raises(SansiError, match=r"write it as stage\.key=value"):
        parse_override(text)


def test_values_are_set(tmp_path):
    recipe = load_recipe(
        "tiny",
        [
            parse_override(t)
            for t in ("seed=3", "until=text", "*.steps=2", "fusion.steps=6", "fusion.schedule.final=0.2")
        ],
    )
    assert (recipe.seed, recipe.until) == (3, "text")
    assert (recipe.stage("general").config.steps, recipe.stage("fusion").config.steps) == (2, 6)
    assert recipe.stage("fusion").config.schedule.final == 0.2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("askd.count=1", '--set askd.count: there is no stage "askd"; did you mean "asked"?'),
        ("asked.cuont=1", 'stage "asked": unknown key "cuont" of the kind problems; did you mean "count"?'),
        (
            "asked.count='1'",
            'stage "asked": "count" must be a whole number, not "1"; write 1, without quotation marks',
        ),
        ("asked.count=many", 'stage "asked": "count" must be a whole number, not "many"'),
        ("asked.count.x=1", '--set asked.count.x: "count" has no parts to be set'),
        ("asked.kind=corpus", '--set asked.kind: "kind" can not be set'),
        ("asked.name=x", '--set asked.name: "name" can not be set'),
        ("*.colour=1", '--set *.colour: no stage has the key "colour"'),
        (
            "name=x",
            '--set name: write it as stage.key=value; of the recipe itself "seed" and "until" can be set, not "name"',
        ),
        ("seed=x", '"seed" must be a whole number from 0 to 2147483647, not "x"'),
    ],
)
def test_a_wrong_change_is_named(tmp_path, change, told):
    assert one_problem(tmp_path, f'name = "r"\n{PROBLEMS}', change) == told


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_field_and_input_says_what_it_is(kind):
    """The guide and the help are made of these sentences."""
    assert kind.about and kind.config.__doc__
    source = Path(__import__(kind.config.__module__, fromlist=["_"]).__file__).read_text()
    for role in kind.inputs.values():
        assert isinstance(role, Role) and role.about and role.accepts
    for field in dataclasses.fields(kind.config):
        if field.name in kind.config.__annotations__:
            assert f"    {field.name}: " in source
            rest = source.split(f"    {field.name}: ", 1)[1].split("\n", 1)[1]
            assert rest.lstrip().startswith('"""'), f"{kind.name}: {field.name} has no docstring"


def test_several_problems_stand_in_lines_of_their_own(tmp_path):
    file = tmp_path / "r.toml"
    file.write_text('name = "R/x"\nsede = 1\n[[stage]]\nkind = "corups"\n')
    with pytest.raises(ConfigError) as caught:
        load_recipe(file)
    head, *lines = str(caught.value).splitlines()
    assert head == f"{file}: {len(caught.value.problems)} problems" and len(lines) > 2
    assert lines == [f"  {problem}" for problem in caught.value.problems]
