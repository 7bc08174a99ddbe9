"""Paths and methods as clients spell them."""

import pytest
from fake_chat import FakeChat
from live_server import http, running
from sansi.serve.http.paths import NOT_HERE, PROBES, known_path, nothing_at
from sansi.serve.http.settings import Keys
from test_serve_api import QUESTION

BODY = {"model": "fake", "messages": QUESTION}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/chat/completions",
        "/v1/v1/chat/completions",
    ],
)
def test_other_spellings_of_a_path_are_answered(fake_url, path):
    assert http.post(fake_url + path, json=BODY).json()["choices"]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "/models", "//v1/models//"])
def test_the_list_of_models_under_its_spellings(fake_url, path):
    assert http.get(fake_url + path).json()["object"] == "list"


@pytest.mark.parametrize("path", ["/v1/models/fake", "/v1/models/fake/", "/models/fake"])
def test_one_model_under_its_spellings(fake_url, path):
    card = http.get(fake_url + path).json()
    assert card["id"] == "fake" and card["max_model_len"] == card["context_length"] == 1024


def test_a_known_path_is_left_alone():
    for path in ("/", "/v1/models/org/name", "/static/page.js", "/api/chat", "/models.html", "/v1", "/completions.js"):
        assert known_path(path) == path


def test_what_can_be_got_can_be_asked_about(tiny_url):
    document = http.get(f"{tiny_url}/openapi.json").json()
    paths = [path for path, methods in document["paths"].items() if "get" in methods and "{" not in path]
    assert {"/health", "/metrics", "/v1/models", "/version"} <= set(paths)
    for path in (*paths, "/", "/v1/models/tiny", "/openapi.json", *PROBES):
        got, asked = http.get(tiny_url + path), http.head(tiny_url + path)
        assert (asked.status_code, asked.content, asked.headers["content-type"]) == (
            200,
            b"",
            got.headers["content-type"],
        ), path
    assert not any("head" in methods for methods in document["paths"].values())


def test_probes_need_no_key_and_say_no_more_than_health():
    with running([FakeChat()], keys=Keys(["k" * 20])) as url:
        for path in (*PROBES, "/version", "/ping/"):
            assert http.get(url + path).status_code == 200
        for path in ("/v1/models", "/models", "/chat/completions", "/v1/embeddings"):
            assert http.get(url + path).status_code == 401
        told = [http.get(url + path).json() for path in PROBES]
        assert (
            all(one == told[0] for one in told) and http.get(f"{url}/version").json()["version"] == told[0]["version"]
        )


@pytest.mark.parametrize(
    ("path", "said"), [(path, said) for path, said in NOT_HERE.items() if not path.startswith("/api")]
)
def test_what_is_not_here_is_told_in_a_sentence(fake_url, path, said):
    here = (f"{path}/more",) if path == "/v1/responses" else (path, f"{path}/", f"{path}/more")
    for one in here:
        response = http.post(fake_url + one, json={"model": "fake", "input": "x"})
        assert response.status_code == 404 and said in response.json()["error"]["message"]


def test_a_near_path_is_named():
    known = ["/v1/chat/completions", "/v1/models"]
    assert 'did you mean "/v1/chat/completions"' in nothing_at("/v1/chat/completion", known)
    assert nothing_at("/zzz", known) == "there is nothing at /zzz"
    assert len(nothing_at("/" + "x" * 10_000, known)) < 300


def test_a_wrong_method_is_told_the_right_one(fake_url):
    response = http.get(f"{fake_url}/v1/chat/completions")
    assert response.status_code == 405 and "use POST" in response.json()["error"]["message"]
