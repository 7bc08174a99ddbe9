"""The tokenizer over HTTP: vLLM's shapes."""

import jsonschema_rs
import pytest
from live_server import http
from sansi.serve.api.tokenizer import DETOKENIZE, TOKENIZE, TOKENIZER_INFO

QUESTION = [{"role": "user", "content": "What is 12 + 30?"}]


def post(url, path, **body):
    response = http.post(url + path, json=body)
    assert response.status_code == 200, response.text
    schema = {"/tokenize": TOKENIZE, "/detokenize": DETOKENIZE}[path].answer
    assert jsonschema_rs.validator_for(schema).is_valid(response.json())
    return response.json()


def test_a_text_there_and_back(tiny_url, tiny_chat):
    told = post(
        tiny_url, "/tokenize", model="tiny", prompt="你好, 12", return_token_strs=True, add_special_tokens=False
    )
    assert told["tokens"] == tiny_chat.codec.tokenizer.encode("你好, 12") and told["count"] == len(told["tokens"])
    assert told["max_model_len"] == tiny_chat.context_length and len(told["token_strs"]) == told["count"]
    assert post(tiny_url, "/detokenize", model="tiny", tokens=told["tokens"])["prompt"] == "你好, 12"
    assert post(tiny_url, "/tokenize", content="你好, 12")["tokens"] == told["tokens"]


def test_control_tokens_that_a_text_spells(tiny_url, tiny_chat):
    end = tiny_chat.codec.control.im_end
    assert post(tiny_url, "/tokenize", prompt="<|im_end|>")["tokens"] == [end]
    assert end not in post(tiny_url, "/tokenize", prompt="<|im_end|>", parse_special=False)["tokens"]
    assert post(tiny_url, "/detokenize", tokens=[end])["prompt"] == "<|im_end|>"


def test_a_conversation_as_the_model_reads_it(tiny_url, tiny_chat):
    told = post(tiny_url, "/tokenize", model="tiny", messages=QUESTION)
    assert told["tokens"] == tiny_chat.prompt_ids(QUESTION)
    body = {"model": "tiny", "messages": QUESTION, "max_tokens": 8, "return_token_ids": True}
    assert http.post(f"{tiny_url}/v1/chat/completions", json=body).json()["prompt_token_ids"] == told["tokens"]
    alone = post(tiny_url, "/tokenize", messages=QUESTION, add_generation_prompt=False)["tokens"]
    assert told["tokens"][: len(alone)] == alone and len(alone) < told["count"]
    off = post(tiny_url, "/tokenize", messages=QUESTION, chat_template_kwargs={"enable_thinking": False})
    assert off["tokens"] != told["tokens"]


def test_a_text_that_is_too_long_for_the_model_is_counted(tiny_url, tiny_chat):
    assert post(tiny_url, "/tokenize", prompt="word " * 20_000)["count"] > tiny_chat.context_length


def test_what_the_tokenizer_is(tiny_url, tiny_chat):
    info = http.get(f"{tiny_url}/tokenizer_info").json()
    assert jsonschema_rs.validator_for(TOKENIZER_INFO).is_valid(info)
    assert (info["eos_token"], info["pad_token"], info["bos_token"]) == ("<|im_end|>", "<|endoftext|>", None)
    assert info["eos_token_ids"] == list(tiny_chat.codec.stop_ids) and "im_start" in info["chat_template"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": "x", "messages": QUESTION}, "prompt"),
        ("/tokenize", {"messages": [{"role": "usr", "content": "x"}]}, "messages[0].role"),
        ("/tokenize", {"prompt": "x", "chat_template": "{{ x }}"}, "chat_template"),
        ("/tokenize", {"prompt": "x", "model": "other"}, "model"),
        ("/detokenize", {"tokens": [0, 10**6]}, "tokens[1]"),
        ("/detokenize", {"tokens": [-1]}, "tokens[0]"),
        ("/detokenize", {}, "tokens"),
        ("/detokenize", {"tokens": [True]}, "tokens[0]"),
    ],
)
def test_refusals(tiny_url, path, body, param):
    response = http.post(tiny_url + path, json=body)
    assert response.status_code in (400, 404) and response.json()["error"]["param"] == param


def test_a_model_whose_tokenizer_is_elsewhere(fake_url):
    for response in (
        http.post(f"{fake_url}/tokenize", json={"prompt": "x"}),
        http.post(f"{fake_url}/v1/messages/count_tokens", json={"model": "fake", "messages": QUESTION}),
        http.get(f"{fake_url}/tokenizer_info"),
    ):
        assert response.status_code == 400 and "is not known here" in response.json()["error"]["message"]
