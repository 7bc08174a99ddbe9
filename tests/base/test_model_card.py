"""What a model folder says of itself, and that a damaged card is named."""

import json

import pytest
from sansi.base import SansiError
from sansi.base.bundled import bundled_models
from sansi.base.model_card import CurvePoint, ModelCard, read_card

CARD = {
    "description": {"en": "A demonstration.", "zh": "演示。"},
    "examples": {"en": [{"title": "Add", "text": "What is 12 + 7?"}], "zh": [{"title": "", "text": "12加7等于几？"}]},
}


def test_a_card_speaks_the_readers_language(tmp_path):
    (tmp_path / "model_card.json").write_text(json.dumps(CARD), encoding="utf-8")
    card = read_card(tmp_path)
    assert card.description_in("zh") == "演示。" and card.examples_in("zh") == ["12加7等于几？"]
    assert card.description_in("fr") == card.description_in() == "A demonstration."
    assert card.examples_in("fr") == ["What is 12 + 7?"] and card.budget_curve == []


def test_a_folder_without_a_card_says_nothing(tmp_path):
    card = read_card(tmp_path)
    assert card == ModelCard() and card.description_in() == "" and card.examples_in("zh") == []


def test_the_curve_is_that_of_the_evaluation(tmp_path):
    points = [{"budget": 8, "score": {"accuracy": 0.5}}, {"budget": None, "score": {"accuracy": 0.75}}]
    (tmp_path / "evaluation.json").write_text(json.dumps({"points": points}))
    assert read_card(tmp_path).budget_curve == [CurvePoint(8, 0.5), CurvePoint(None, 0.75)]


DAMAGED = (
    "{",
    "[3]",
    '{"descripton": {}}',
    '{"description": "x"}',
    '{"examples": {"en": ["x"]}}',
    '{"budget_curve": []}',
)


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_card_is_named(tmp_path, content):
    (tmp_path / "model_card.json").write_text(content)
    with pytest.raises(SansiError, match=r"model_card\.json"):
        read_card(tmp_path)


@pytest.mark.parametrize("content", ["[]", '{"points": [3]}', '{"points": [{"budget": 1}]}', "{}"])
def test_a_damaged_curve_is_named(tmp_path, content):
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(SansiError, match=r"evaluation\.json"):
        read_card(tmp_path)


@pytest.mark.parametrize("folder", bundled_models().values(), ids=list(bundled_models()))
def test_every_bundled_model_says_what_it_is(folder):
    card = read_card(folder)
    assert "demonstration" in card.description_in("en") and "演示" in card.description_in("zh")
    assert len(card.examples["en"]) >= 6 and all(example.title for example in card.examples["en"])
    assert card.budget_curve
