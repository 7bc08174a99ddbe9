"""Subject, form, value, difficulty, what is unsafe: what is told, and what is left out where nobody knows."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import httpx
import numpy as np
import pytest
from documents_made import ENGLISH, document, prose
from sansi.base import SansiError
from sansi.client.bulk import BulkClient, EndpointSettings
from sansi.data.classify import LinearModel, count_personal, mask_personal, unsafe_score
from sansi.data.classify.label import label_documents, read_labels, train_on_labels
from sansi.data.classify.linear import train_head
from sansi.data.corpus.steps import ReadSettings, read_part
from sansi.data.filters import Rules, reason_to_drop
from sansi.data.readers import parts_of
from sansi.data.store import read_documents
from sansi.data.work import Watch

STORY = (
    '"I don\'t know," she said. He looked at her and smiled. The old man walked to the window, and his hand shook. '
    '"You came back," he whispered. She laughed, and her eyes were wet. They had waited all night for her.\n'
)
PROOF = (
    "Theorem. Let f be a polynomial of degree n over a field, and suppose that the matrix of its linear transformation "
    "is diagonal. Then the equation has n roots. Proof. The determinant is the product of the characteristic values; "
    "consider the vector space spanned by the subspaces, and let the function be continuous on the interval.\n"
)


def test_the_packaged_classifiers_tell_english_texts_apart_and_abstain_on_others():
    story, proof = document(STORY * 3, language="en"), document(PROOF * 3, language="en")
    assert story.domain == "fiction" and proof.field == "mathematics"
    assert story.value is not None and proof.value is not None and story.value < proof.value
    easy, hard = document("The dog ran to the boy. He was glad. " * 5, language="en"), document(ENGLISH, language="en")
    assert easy.difficulty is not None and hard.difficulty is not None and easy.difficulty < hard.difficulty - 0.2
    swahili = document("Watu wote wamezaliwa huru, hadhi na haki zao ni sawa. " * 5, language="sw")
    assert swahili.value is swahili.field is swahili.domain is None and swahili.difficulty is not None
    code = document("def f(x):\n    return x + 1\n" * 9, kind="code", language="python")
    assert code.domain == "code" and code.value is None and code.difficulty is None


def test_personal_data_are_counted_and_masked():
    text = (
        "Write to jane.doe@acme.org or me@example.com, call +49 30 1234 5678 or (415) 555-2671. Host 8.8.8.8, not "
        "192.168.0.1 nor version 1.2.3.0. Card 4539 1488 0343 6467, not 4539 1488 0343 6468. GB82 WEST 1234 5698 7654 "
        "32. Key ghp_" + "a1" * 20 + "."
    )
    assert count_personal(text) == {"email": 1, "phone": 2, "ip": 1, "card": 1, "iban": 1, "key": 1}
    masked = mask_personal(text)
    assert count_personal(masked) == {} and "me@example.com" in masked and "<email> or" in masked
    assert count_personal(ENGLISH + " In 1984, 12,000 of 1,234,567 (2019-2020).") == {}


def test_offensive_words_raise_the_score_in_their_language_alone():
    assert unsafe_score(ENGLISH, "en", 40) == 0
    assert unsafe_score("What a shit " + ENGLISH, "en", 43) > 0.3
    assert unsafe_score("Il dit merde " + ENGLISH, "fr", 43) > 0.3 > unsafe_score("Il dit merde " + ENGLISH, "fi", 43)
    found = reason_to_drop(document("What a shit. " + ENGLISH, language="en"), Rules(min_bytes=9, max_unsafe=0.2))
    assert found is not None and found.rule == "unsafe"


def test_rules_of_content_drop_only_what_was_told():
    story = document(STORY * 3 + ENGLISH, language="en")
    loose = {"min_bytes": 9, "min_quality": 0.0}
    assert story.domain is not None
    found = reason_to_drop(story, Rules(**loose, domains=("manual",)))
    assert found is not None and found.rule in ("another domain", "too repetitive")
    swahili = document("Watu wote wamezaliwa huru, hadhi na haki zao ni sawa.", language="sw")
    assert reason_to_drop(swahili, Rules(**loose, domains=("manual",), fields=("medicine",), min_value=0.9)) is None
    with pytest.raises(SansiError, match='"min_value" is 2'):
        Rules(min_value=2.0)


def test_a_head_is_the_same_each_time_and_survives_its_file(tmp_path):
    texts = [f"{prose(n, 2)} {'red apple' if n % 2 else 'blue sea'}" for n in range(20)]
    targets = np.asarray([[n % 2 == 0, n % 2 == 1] for n in range(20)], np.float32)
    first, second = (train_head(texts, targets, ("sea", "apple"), rounds=20) for _ in range(2))
    assert (first.weights == second.weights).all()
    LinearModel({"x": first}).save(tmp_path / "m.npz")
    answer = LinearModel.load(tmp_path / "m.npz").answers("a red apple", "en-GB")["x"]
    assert answer.label == "apple" and answer.probability > 0.6
    assert LinearModel({"x": first}).answers("ein roter Apfel", "de") == {}
    with pytest.raises(SansiError, match="holds no classifier"):
        LinearModel.load(tmp_path / "none.npz")


def test_an_endpoint_labels_and_a_student_learns(tmp_path):
    rng = random.Random(1)
    endings = ("buy cheap offer", "lesson explains theorem")
    documents = [document(f"{prose(n)} {endings[n % 2]} {rng.random()}", language="en") for n in range(60)]
    documents = [replace(one, id=f"made/{n}") for n, one in enumerate(documents)]

    def answer(request: httpx.Request) -> httpx.Response:
        text = json.loads(request.content)["messages"][0]["content"]
        good = "lesson" in text
        field = "mathematics" if good else "no such"
        told = {"value": 5 if good else 0, "difficulty": 3, "field": field, "domain": "news"}
        content = "I can not." if "made up" in text else f"```json\n{json.dumps(told)}\n```"
        choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        return httpx.Response(200, json={"model": "m", "choices": [choice], "usage": usage})

    odd = replace(documents[0], id="made/x", text="made up")
    settings = EndpointSettings("http://127.0.0.1:9/v1", "m", same_answers=None)
    with BulkClient(settings, tmp_path, transport=httpx.MockTransport(answer)) as client:
        labels = label_documents(client, [*documents, odd], tmp_path / "l")
    assert read_labels(tmp_path / "l") == labels and labels[-1].value is None and labels[-1].problem
    assert labels[1].value == 1.0 and labels[1].difficulty == 0.6 and labels[0].field is None
    student = train_on_labels(documents, labels)
    texts = (f"{prose(99)} {words}" for words in ("lesson explains theorem", "buy cheap offer"))
    good, bad = (student.answers(text, "en")["value"].probability for text in texts)
    assert good > 0.6 > 0.4 > bad
    with pytest.raises(SansiError, match="label more"):
        train_on_labels(documents[:9], labels)


def test_a_build_masks_personal_data_where_asked(tmp_path):
    (tmp_path / "a.txt").write_text(f"Write to jane.doe@acme.org.\n{ENGLISH} {prose(1)}")
    part = parts_of(tmp_path / "a.txt")[0]
    settings = ReadSettings("a", "CC0-1.0", Rules(mask_personal=True))
    read_part(tmp_path / "out.parquet", part, settings, Watch(None, {}))
    (found,) = read_documents(tmp_path / "out.parquet")
    assert found.text.startswith("Write to <email>.")
