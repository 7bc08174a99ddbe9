"""Who may speak to the server: keys, names it is called by, pages of other origins."""

import hmac
import socket

import openai
import pytest
from fake_chat import FakeChat
from live_server import http, running
from sansi.base.errors import SansiError
from sansi.serve.http.launch import LOOPBACK, settings_for
from sansi.serve.http.settings import Keys, ServerSettings, read_keys

BODY = {"model": "fake", "messages": [{"role": "user", "content": "What is 12 + 30?"}]}
KEY, OTHER = "a-key-of-sixteen-or-more", "another-key-0123456789"
OPEN_ROUTES = ("/", "/health", "/openapi.json", "/static/index.html")


@pytest.fixture(scope="module")
def locked():
    with running([FakeChat()], keys=Keys([KEY, OTHER])) as url:
        yield url


@pytest.fixture(scope="module")
def local():
    chosen = settings_for("127.0.0.1", ServerSettings(hosts=("chat.example",)))
    with running([FakeChat()], hosts=chosen.hosts, origins=("https://good.example",)) as url:
        yield url


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_each_key_opens(locked, key):
    answer = openai.OpenAI(base_url=f"{locked}/v1", api_key=key, max_retries=0).chat.completions.create(**BODY)
    assert answer.choices[0].message.content == "It is 42"


WRONG = [{}, {"Authorization": "Bearer"}, bearer(KEY[:-1]), bearer(KEY + "x"), {"Authorization": KEY}]


@pytest.mark.parametrize("headers", WRONG)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/models/fake", "/metrics", "/nowhere"])
def test_without_a_key_all_else_is_shut(locked, headers, path):
    response = http.request("POST" if "chat" in path else "GET", locked + path, headers=headers)
    assert response.status_code == 401 and response.headers["www-authenticate"] == "Bearer"
    assert response.json()["error"].keys() == {"message", "type", "param", "code"}
    assert response.json()["error"]["code"] == "invalid_api_key" and KEY[:-1] not in response.text


def test_the_official_client_knows_the_error(locked):
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{locked}/v1", api_key="wrong", max_retries=0).models.list()


@pytest.mark.parametrize("path", OPEN_ROUTES)
def test_what_tells_nothing_is_open(locked, path):
    assert http.get(locked + path).status_code == 200


@pytest.mark.parametrize("path", ["//v1/models", "/static/../v1/models", "/health/../v1/models", "/%2e%2e/metrics"])
def test_no_spelling_of_a_path_goes_round_the_key(locked, path):
    assert http.get(locked + path).status_code in (401, 404)


def test_keys_are_compared_in_constant_time_and_all_of_them(monkeypatch):
    seen = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: seen.append((a, b)) or real(a, b))
    assert Keys([KEY, OTHER]).number_of(KEY.encode()) == 1
    assert len(seen) == 2 and len({len(side) for pair in seen for side in pair}) == 1


def test_no_key_is_kept_in_clear():
    keys = Keys([KEY])
    assert KEY not in repr(ServerSettings(keys=keys)) and KEY not in repr(vars(keys))


def test_keys_are_read(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(f"# for the team\n{KEY}  # Ann\n\n{OTHER}\n")
    assert len(read_keys(str(file))) == 2
    monkeypatch.setenv("SANSI_API_KEYS", f"{KEY}, {OTHER}")
    assert len(read_keys(str(file), "SANSI_API_KEYS")) == 2, "the same keys, told twice"
    assert read_keys() is None, "the environment counts only where it is named"


@pytest.mark.parametrize("content", ["", "# nothing\n", "short\n", f"{KEY} and more\n", "ключ-шестнадцать-букв\n"])
def test_unsafe_key_files_are_refused_without_showing_a_key(tmp_path, content):
    (tmp_path / "keys").write_text(content, encoding="utf-8")
    with pytest.raises(SansiError) as caught:
        read_keys(str(tmp_path / "keys"))
    assert not any(len(word) > 4 and word in str(caught.value) for word in content.replace("#", "").split())
    with pytest.raises(SansiError, match="NO_SUCH_VARIABLE"):
        read_keys(None, "NO_SUCH_VARIABLE")


# --- names and origins -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:8000", "chat.example", "::1"])
def test_a_server_on_the_loopback_answers_to_its_names(local, host):
    expected = 403 if host == "::1" else 200  # without brackets it is no Host
    assert http.get(f"{local}/v1/models", headers={"Host": host}).status_code == expected


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil", ""])
@pytest.mark.parametrize("path", ["/", "/v1/models", "/health"])
def test_a_foreign_name_is_refused(local, host, path):
    response = http.get(local + path, headers={"Host": host})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "host_not_allowed")


MALFORMED = ["localhost:80@evil.example", "localhost:evil.example", "[::1]evil.example", "localhost:", "localhost:1:2"]


@pytest.mark.parametrize("host", MALFORMED)
def test_a_host_that_only_begins_like_a_name_is_refused(local, host):
    assert http.get(f"{local}/v1/models", headers={"Host": host}).status_code == 403


def test_beyond_the_loopback_any_name_is_good_where_keys_are_asked_for():
    assert settings_for("0.0.0.0", ServerSettings(keys=Keys([KEY]))).hosts is None
    assert set(LOOPBACK) <= set(settings_for("127.0.0.1", ServerSettings()).hosts)


def test_beyond_the_loopback_without_keys_a_foreign_name_is_refused():
    chosen = settings_for("0.0.0.0", ServerSettings(hosts=("chat.example",)))
    good = ["localhost", "192.168.1.7:8000", "[fe80::1]:8000", "chat.example", socket.gethostname()]
    with running([FakeChat()], hosts=chosen.hosts, any_address=chosen.any_address) as url:
        for host in good:
            assert http.get(f"{url}/v1/models", headers={"Host": host}).status_code == 200, host
        for host in ["evil.example", "1.2.3.4.evil.example", "[::1]evil.example", "1.2.3"]:
            assert http.get(f"{url}/v1/models", headers={"Host": host}).status_code == 403, host


def test_the_same_place_by_another_scheme_is_another_origin(local):
    assert post(local, Origin=local.replace("http:", "https:")).status_code == 403


def test_a_length_and_an_encoding_together_are_refused(local):
    headers = {"Content-Length": "2", "Transfer-Encoding": "chunked"}
    response = http.post(f"{local}/v1/chat/completions", content=b"{}", headers=headers)
    assert response.status_code == 400 and response.headers["connection"] == "close"


def test_who_looks_without_wanting_more_is_answered(local):
    for path in ("/", "/health"):
        response = http.head(local + path)
        assert response.status_code == 200 and not response.content
    assert http.options(f"{local}/v1/models").status_code == 204
    assert http.get(f"{local}/v1/models/", follow_redirects=False).status_code == 200
    assert http.get(f"{local}/static/index.html").headers["x-content-type-options"] == "nosniff"


def post(url, **headers):
    return http.post(f"{url}/v1/chat/completions", json=BODY, headers=headers)


def test_its_own_page_may_post(local):
    assert post(local, Origin=local).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "https://good.example.evil"])
def test_pages_of_other_origins_may_not(local, origin):
    response = post(local, Origin=origin)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in response.headers
    assert "access-control-allow-origin" not in http.get(f"{local}/v1/models", headers={"Origin": origin}).headers
    assert http.options(f"{local}/v1/chat/completions", headers={"Origin": origin}).status_code == 403


def test_an_allowed_page_may(local):
    response = post(local, Origin="https://good.example")
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://good.example"
    assert "Origin" in response.headers["vary"]


def test_an_allowed_page_is_told_so_beforehand(local):
    asked = {"Origin": "https://good.example", "Access-Control-Request-Headers": "authorization,x-stainless-os"}
    response = http.options(f"{local}/v1/chat/completions", headers=asked)
    assert response.status_code == 204 and "POST" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"] == "authorization,x-stainless-os"


def test_a_page_that_has_no_key_hears_why():
    with running([FakeChat()], keys=Keys([KEY]), origins=("*",)) as url:
        headers = {"Origin": "https://any.example"}
        assert http.options(f"{url}/v1/models", headers=headers).status_code == 204
        refused = http.get(f"{url}/v1/models", headers=headers)
        assert refused.status_code == 401 and "access-control-allow-origin" in refused.headers
