"""Packages for other runtimes: templates that render the same, flags that exist, files that their readers read."""

import json
import re
from pathlib import Path

import go_template
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.deploy.packages import RUNTIMES, ModelFacts, facts_of, launch_for
from sansi.deploy.packages.lmstudio import model_yaml
from sansi.deploy.packages.ollama import go_template as ollama_template
from sansi.deploy.packages.ollama import modelfile
from sansi.model.config import ModelConfig
from sansi.text import Codec

ROOT = Path(__file__).resolve().parents[2]
LISTS = {
    "vllm": "vllm-0.32.0.txt",
    "sglang": "sglang-0.5.23.txt",
    "ktransformers": "sglang-0.5.23.txt",
    "mlx-server": "mlx-lm-0.32.2.txt",
    "llama-server": "llama-server-b11434.txt",
}
DENSE, SPARSE = ModelConfig.preset("Qwen3-8B"), ModelConfig.preset("Qwen3-30B-A3B")


def facts(config=DENSE, **more):
    return ModelFacts("my-model", more.pop("path", "/models/my-model"), config, **more)


# ---- launch lines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "openwebui"])
@pytest.mark.parametrize("long", [False, True])
def test_every_flag_is_one_that_the_stated_version_accepts(runtime, long):
    known = set((ROOT / "tests" / "deploy" / "flags" / LISTS[runtime]).read_text().split())
    asked = {"context": 131_072} if long else {}
    asked |= {"adapters": {"terse": "/adapters/terse"}} if runtime != "ktransformers" else {}
    asked |= {"path": "/models/my.gguf"} if runtime == "llama-server" else {}
    launch = launch_for(runtime, facts(SPARSE, tensor_parallel=4, expert_parallel=True, **asked))
    flags = [word for word in launch.command if word.startswith("--")]
    assert flags and set(flags) <= known, set(flags) - known
    version = re.search(r"[\d.]+", launch.version)[0]
    assert version.strip(".") in LISTS[runtime] or "SGLang 0.5.23" in launch.version


@pytest.mark.parametrize(("runtime", "option"), [("vllm", "--hf-overrides"), ("sglang", "--json-model-override-args")])
def test_long_contexts_bring_yarn_and_short_ones_do_not(runtime, option):
    short, long = (launch_for(runtime, facts(context=n)).command for n in (32_768, 131_072))
    assert option not in short
    said = json.loads(long[long.index(option) + 1])
    said = said.get("rope_parameters", said.get("rope_scaling"))
    assert (said["factor"], said["original_max_position_embeddings"]) == (4.0, 32_768)


def test_a_launch_is_shown_as_lines_for_a_shell():
    shown = str(launch_for("vllm", facts(context=131_072)))
    assert shown.startswith("# vllm 0.32.0\n") and "vllm serve /models/my-model \\\n  --served-model-name" in shown
    assert '\'{"rope_parameters"' in shown


@pytest.mark.parametrize(
    ("runtime", "more", "told"),
    [
        ("ktransformers", {}, "no experts"),
        ("ktransformers", {"config": SPARSE, "quantisation": "awq"}, "FP8"),
        ("mlx-server", {"quantisation": "gptq"}, "--to mlx"),
        ("vllm", {"quantisation": "sansi"}, "for Sansi"),
        ("vlm", {}, 'did you mean "vllm"'),
    ],
)
def test_what_a_runtime_can_not_open_is_refused(runtime, more, told):
    with pytest.raises(SansiError, match=told):
        launch_for(runtime, facts(**more))


def test_facts_of_a_folder():
    nano = facts_of(ROOT / "checkpoints" / "nano")
    assert nano.sampling["temperature"] == 0.3 and nano.quantisation is None and nano.name == "nano"


# ---- Ollama ----------------------------------------------------------------------------------------------------------

TEXT = st.text(st.sampled_from("ab {}<>\n\"'\\三💡"), max_size=12)
WORDS = st.text("abc xyz", min_size=1, max_size=9).filter(str.strip)
CALL = st.fixed_dictionaries({"name": st.sampled_from(["add", "look_up"]), "arguments": st.just({"a": 1, "b": "x"})})
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}


@st.composite
def conversations(draw):
    """Turns as clients send them: perhaps a system message, then questions, answers, calls and their results."""
    messages = [{"role": "system", "content": draw(WORDS)}] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(TEXT)})
        for _ in range(draw(st.integers(0, 2))):
            calls = draw(st.lists(CALL, min_size=1, max_size=2))
            thought = draw(st.none() | WORDS.map(str.strip))
            messages.append(_assistant(draw(st.just("") | WORDS.map(str.strip)), thought, calls))
            messages += [{"role": "tool", "content": draw(TEXT)} for _ in calls]
        if draw(st.booleans()):
            messages.append(_assistant(draw(WORDS).strip(), draw(st.none() | WORDS.map(str.strip)), []))
            messages.append({"role": "user", "content": draw(WORDS)})
    return messages


def _assistant(text, thought, calls):
    message = {"role": "assistant", "content": text}
    message |= {"reasoning_content": thought} if thought else {}
    wire = [{"type": "function", "function": call} for call in calls]
    return message | ({"tool_calls": wire} if wire else {})


def as_ollama_fills_it(messages, tools, thinking):
    """What Ollama gives a template: its own names, system messages also joined in .System."""
    filled = [
        {
            "Role": m["role"],
            "Content": m["content"],
            "Thinking": m.get("reasoning_content", ""),
            "ToolCalls": [
                {"Function": {"Name": call["function"]["name"], "Arguments": call["function"]["arguments"]}}
                for call in m.get("tool_calls", [])
            ],
        }
        for m in messages
    ]
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    return {
        "Messages": filled,
        "System": system,
        "Tools": tools,
        "Think": thinking is not False,
        "IsThinkSet": thinking is not None,
    }


def without_spaces(text):
    """JSON of calls and tools as Ollama prints it."""
    return re.sub(r'(?<=["}\]\d])(: |, )(?=["{\[\d])', lambda m: m[0].strip(), text)


@pytest.fixture(scope="module")
def codec():
    return Codec.from_pretrained(ROOT / "checkpoints" / "nano")


@settings(max_examples=150)
@given(conversations(), st.booleans(), st.sampled_from([None, True, False]))
def test_the_go_template_renders_what_the_published_one_does(codec, messages, with_tools, thinking):
    tools = [TOOL] if with_tools else []
    expected = codec.render(messages, tools=tools or None, enable_thinking=thinking).text
    found = go_template.render(ollama_template(), as_ollama_fills_it(messages, tools, thinking))
    assert without_spaces(found) == without_spaces(expected)


@pytest.mark.parametrize(
    ("mutation", "into"),
    [("<tool_response>", "<tool_result>"), ("(gt $i $query)", "(lt $i $query)"), ("(not .Think)", ".Think")],
)
def test_a_changed_template_is_told_apart(codec, mutation, into):
    """The comparison is no formality: faults like those of the bug trackers are seen."""
    messages = [
        {"role": "user", "content": "a"},
        _assistant("", "hm", [{"name": "add", "arguments": {}}]),
        {"role": "tool", "content": "r"},
    ]
    source = ollama_template()
    assert mutation in source
    texts = [
        go_template.render(source.replace(mutation, into), as_ollama_fills_it(messages, [], thinking))
        for thinking in (True, False)
    ]
    expected = [codec.render(messages, enable_thinking=thinking).text for thinking in (True, False)]
    assert [without_spaces(text) for text in texts] != [without_spaces(text) for text in expected]


def test_the_modelfile_names_tags_parameters_and_context():
    text = modelfile(facts(licence="Apache-2.0"))
    assert text.startswith("# my-model: ollama create") and "\nFROM ./model.gguf\n" in text
    assert "PARAMETER num_ctx 32768" in text and 'PARAMETER stop "<|im_end|>"' in text
    assert "PARAMETER temperature 0.6" in text and "PARAMETER top_k 20" in text
    assert "$m.Thinking" in text and text.count('"""') == 4
    assert "num_ctx 131072" in modelfile(facts(context=131_072))


# ---- LM Studio -------------------------------------------------------------------------------------------------------


def test_model_yaml_has_the_switch():
    read = yaml.safe_load(model_yaml(facts(), "me", 5_000_000_000, "me/my-model-GGUF"))
    assert read["model"] == "me/my-model" and read["base"][0]["sources"][0]["repo"] == "my-model-GGUF"
    assert read["customFields"][0]["effects"] == [{"type": "setJinjaVariable", "variable": "enable_thinking"}]
    fields = {field["key"]: field["value"] for field in read["config"]["operation"]["fields"]}
    assert fields["llm.prediction.topKSampling"] == 20
    assert fields["llm.prediction.topPSampling"] == {"checked": True, "value": 0.95}
    assert read["metadataOverrides"]["paramsStrings"] == ["8.2B"]
