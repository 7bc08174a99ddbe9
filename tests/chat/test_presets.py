"""Sampling presets: the published ones, and what a checkpoint may put in their place."""

from __future__ import annotations

import json

import pytest
from sansi.base.errors import SansiError
from sansi.chat import Preset, Presets


def folder_with(tmp_path, value):
    (tmp_path / "generation_config.json").write_text(json.dumps(value))
    return tmp_path


def test_published(tmp_path):
    presets = Presets.from_pretrained(tmp_path)
    assert presets.of(True) == Preset(temperature=0.6, top_p=0.95, top_k=20)
    assert presets.of(False) == Preset(temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5)
    assert presets.source == "published"


def test_a_folder_overrides_field_by_field(tmp_path):
    own = {"temperature": 5.0, "sansi_presets": {"thinking": {"temperature": 0}, "non-thinking": {"top_p": 0.5}}}
    presets = Presets.from_pretrained(folder_with(tmp_path, own))
    assert presets.of(True) == Preset(temperature=0.0, top_p=0.95, top_k=20)
    assert presets.of(False) == Preset(temperature=0.7, top_p=0.5, top_k=20, presence_penalty=1.5)
    assert presets.source == "generation_config.json"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"thnking": {}}, 'did you mean "thinking"'),
        ({"thinking": {"temprature": 1}}, 'did you mean "temperature"'),
        ({"thinking": {"temperature": "hot"}}, "temperature"),
        ({"thinking": {"temperature": -1}}, "temperature"),
        ({"non-thinking": {"top_p": 2}}, "top_p"),
        ({"thinking": 3}, "must be an object"),
        ([], "must be an object"),
    ],
)
def test_wrong_overrides_are_named_with_their_file(tmp_path, value, named):
    with pytest.raises(SansiError, match=named) as error:
        Presets.from_pretrained(folder_with(tmp_path, {"sansi_presets": value}))
    assert "generation_config.json" in str(error.value)


def test_a_damaged_file_is_named(tmp_path):
    with pytest.raises(SansiError, match=r"generation_config\.json must be an object"):
        Presets.from_pretrained(folder_with(tmp_path, []))
