"""Models go up to stand-ins of the three hubs on the loopback, by the hubs' own clients."""

import json

import pytest
from sansi.deploy.publish.hubs.huggingface import HuggingFaceDestination

from stand_in_uploads import TOKEN, stand_in_uploads
from tiny_checkpoint import make_checkpoint

CLOSED = "http://127.0.0.1:9"
NAMES = {"huggingface": "me/tiny", "modelscope": "me/tiny", "kaggle": "me/tiny/transformers/small"}
KEPT = {"huggingface": "me/tiny", "modelscope": "me/tiny", "kaggle": "me/tiny/small"}
"""What the stand-in calls them."""
HUBS = tuple(NAMES)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("publish") / "tiny")


@pytest.fixture
def remote():
    with stand_in_uploads() as hub:
        yield hub


@pytest.fixture
def clients(remote, tmp_path, monkeypatch):
    """The clients, led to the stand-in, signed in, with homes of their own and no patience."""
    modelscope, kaggle = pytest.importorskip("modelscope_hub._upload"), pytest.importorskip("kagglesdk.kaggle_env")
    from huggingface_hub import constants
    from sansi.deploy.publish import hubs

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # its storage speaks a protocol of its own
    monkeypatch.setattr("huggingface_hub.utils._http._DEFAULT_RETRY_ON_STATUS_CODES", ())
    opened = hubs.open_destination

    def opened_here(hub):
        return HuggingFaceDestination(remote.url) if hub == "huggingface" else opened(hub)

    monkeypatch.setattr("sansi.deploy.publish.open_destination", opened_here)
    for name in ("UPLOAD_BLOB_MAX_ATTEMPTS", "UPLOAD_COMMIT_MAX_ATTEMPTS", "UPLOAD_FAILED_FILE_MAX_RETRY_ROUNDS"):
        monkeypatch.setattr(modelscope, name, 1)
    monkeypatch.setattr(modelscope, "UPLOAD_RECOVERY_ENABLED", False)
    monkeypatch.setitem(kaggle._env_to_endpoint, kaggle.KaggleEnv.LOCAL, remote.url)
    monkeypatch.setattr("kagglehub.gcs_upload.time.sleep", lambda _: None)
    monkeypatch.setattr("kagglehub.clients.get_user_agent", lambda: "test")  # which looks through the whole stack
    environment = {"HF_TOKEN": TOKEN, "MODELSCOPE_API_TOKEN": TOKEN, "KAGGLE_API_TOKEN": TOKEN}
    environment |= {"MODELSCOPE_ENDPOINT": remote.url, "KAGGLE_API_ENVIRONMENT": "LOCALHOST"}
    environment |= {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def sansi(sansi, clients, tmp_path, monkeypatch):
    """Run the command in this process, in an empty folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return sansi


def publish(sansi, model, hub, *more):
    return sansi("publish", model, NAMES[hub], "--to", hub, "--license", "apache-2.0", *more)


@pytest.mark.parametrize("hub", HUBS)
def test_what_is_told_goes_up(sansi, remote, tiny, hub):
    before = {path: path.read_bytes() for path in tiny.rglob("*") if path.is_file()}
    told = publish(sansi, tiny, hub, "--json")
    assert told.code == 0 and remote.asked == []
    sent = publish(sansi, tiny, hub, "--upload")
    assert sent.code == 0 and NAMES[hub].split("/")[1] in sent.out.splitlines()[-1]  # where it is now
    files = remote.repos[KEPT[hub]]
    assert sorted(files) == sorted(entry["name"] for entry in json.loads(told.out)["files"])
    assert {name: len(data) for name, data in files.items()} == {
        entry["name"]: entry["bytes"] for entry in json.loads(told.out)["files"]
    }
    assert files["model.safetensors"] == (tiny / "model.safetensors").read_bytes()
    assert files["README.md"].startswith(b"---\nlicense: apache-2.0\n")
    assert {path: path.read_bytes() for path in tiny.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("hub", HUBS)
def test_a_name_that_is_taken_is_not_touched_unless_that_is_wanted(sansi, remote, tiny, hub):
    publish(sansi, tiny, hub, "--upload")
    remote.repos[KEPT[hub]]["README.md"] = b"mine"
    again = publish(sansi, tiny, hub, "--upload")
    assert again.code == 1 and "is taken" in again.err and "--update" in again.err
    assert remote.repos[KEPT[hub]]["README.md"] == b"mine"
    assert publish(sansi, tiny, hub, "--upload", "--update").code == 0
    assert remote.repos[KEPT[hub]]["README.md"] != b"mine"


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
def test_an_upload_that_broke_off_is_gone_on_with(sansi, remote, tiny, hub):
    remote.refuse = "the disk is full"
    first = publish(sansi, tiny, hub, "--upload")
    assert first.code == 1 and "the disk is full" in first.err and "same command again" in first.err
    assert len(remote.puts) == 1 and remote.repos[KEPT[hub]] == {}
    remote.refuse = None
    second = publish(sansi, tiny, hub, "--upload")  # no --update: the repository is its own
    assert second.code == 0, second.err
    assert len(remote.puts) == 1  # the weights were not sent again
    assert "model.safetensors" in remote.repos[KEPT[hub]]


def test_a_connection_that_breaks_inside_a_file_is_told_and_gone_on_with(sansi, remote, tiny):
    remote.drop = 99
    first = publish(sansi, tiny, "modelscope", "--upload")
    assert first.code == 1 and "same command again" in first.err
    remote.drop = 0
    assert publish(sansi, tiny, "modelscope", "--upload").code == 0


def test_kaggles_client_goes_on_after_a_break_by_itself(sansi, remote, tiny):
    remote.drop = 1
    assert publish(sansi, tiny, "kaggle", "--upload").code == 0
    assert remote.repos[KEPT["kaggle"]]["model.safetensors"] == (tiny / "model.safetensors").read_bytes()


@pytest.mark.parametrize("hub", HUBS)
def test_without_a_token_nothing_is_sent(sansi, remote, tiny, hub, monkeypatch):
    for name in ("HF_TOKEN", "MODELSCOPE_API_TOKEN", "KAGGLE_API_TOKEN"):
        monkeypatch.delenv(name)
    told = publish(sansi, tiny, hub, "--upload")
    assert told.code == 1 and "there is no token" in told.err and "in the environment" in told.err
    assert remote.asked == []


@pytest.mark.parametrize("hub", HUBS)
def test_a_token_that_may_not_write_is_told(sansi, remote, tiny, hub):
    remote.read_only = True
    told = publish(sansi, tiny, hub, "--upload")
    assert told.code == 1 and "does not let you write" in told.err and "token" in told.err


@pytest.mark.parametrize("hub", HUBS)
def test_a_token_that_the_hub_does_not_know_is_told(sansi, remote, tiny, hub, monkeypatch):
    for name in ("HF_TOKEN", "MODELSCOPE_API_TOKEN", "KAGGLE_API_TOKEN"):
        monkeypatch.setenv(name, "another")
    told = publish(sansi, tiny, hub, "--upload")
    assert told.code == 1 and "token" in told.err and told.err.count("error: ") == 1


def test_no_network_is_told(sansi, tiny, monkeypatch):
    monkeypatch.setattr("sansi.deploy.publish.open_destination", lambda hub: HuggingFaceDestination(CLOSED))
    told = publish(sansi, tiny, "huggingface", "--upload")
    assert told.code == 1 and "can not be reached" in told.err and told.err.count("error: ") == 1


@pytest.mark.parametrize("hub", ["huggingface", "kaggle"])
def test_a_hub_that_is_out_of_order_is_told(sansi, remote, tiny, hub):
    remote.status = 500
    told = publish(sansi, tiny, hub, "--upload")
    assert told.code == 1 and "500" in told.err and told.err.count("error: ") == 1


def test_private_repositories(sansi, remote, tiny):
    publish(sansi, tiny, "huggingface", "--upload", "--private")
    assert remote.settings["me/tiny"]["visibility"] == "private"
    told = publish(sansi, tiny, "kaggle", "--private")
    assert told.code == 2 and "private until you open it" in told.err


def test_kaggle_is_told_the_licence_in_its_own_words(sansi, remote, tiny):
    publish(sansi, tiny, "kaggle", "--upload")
    assert remote.settings["me/tiny/small"]["licenseName"] == "Apache 2.0"


def test_a_model_with_a_fault_does_not_go_up(sansi, remote, tiny, tmp_path):
    broken = make_checkpoint(tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    told = publish(sansi, broken, "huggingface", "--upload")
    assert told.code == 1 and "is cut off" in told.out and "nothing was uploaded" in told.err
    assert remote.asked == []
