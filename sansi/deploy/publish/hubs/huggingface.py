"""The Hugging Face hub, or a mirror of it (HF_ENDPOINT), by huggingface_hub.

Its client sends each file's content once: what arrived before a connection broke is known there by its digest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from sansi import __version__
from sansi.base.errors import SansiError
from sansi.deploy.publish.hubs.destination import (
    Upload,
    broken_off,
    first_line,
    no_token,
    refused,
    turned_down,
)
from sansi.model.hub.huggingface_errors import SIGN_IN, WORTH_A_RETRY
from sansi.model.hub.names import without_password

ANSWER_SECONDS = 20.0


class HuggingFaceDestination:
    """`Destination` over huggingface_hub. endpoint: default huggingface_hub's own."""

    title = "Hugging Face"

    def __init__(self, endpoint: str | None = None):
        address = (endpoint or constants.ENDPOINT).rstrip("/")
        self.endpoint = without_password(address)
        self._api = HfApi(endpoint=address, library_name="sansi", library_version=__version__)

    def check_access(self) -> None:
        """Raise SansiError where there is no token, or one that the hub does not know."""
        if get_token() is None:
            raise no_token(self.title, SIGN_IN)
        with self._explained("your token"):
            self._api.whoami()

    def exists(self, name: str) -> bool:
        """Whether there is a model of that name."""
        with self._explained(name):
            try:
                self._api.model_info(name, timeout=ANSWER_SECONDS)
            except RepositoryNotFoundError:
                return False
        return True

    def upload(self, upload: Upload) -> str:
        """Send the files in as few commits as the client makes of them."""
        with self._explained(upload.name):
            self._api.create_repo(upload.name, private=upload.private, exist_ok=True)
            self._api.upload_folder(
                repo_id=upload.name, folder_path=upload.folder, commit_message=upload.message, repo_type="model"
            )
        return f"{self.endpoint}/{upload.name}"

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except SansiError:
            raise
        except HfHubHTTPError as error:
            raise self._answered(error, name) from error
        except (HTTPError, ConnectionError, TimeoutError) as error:
            why = "HF_HUB_OFFLINE is set" if isinstance(error, OfflineModeIsEnabled) else first_line(error)
            raise broken_off(name, self.endpoint, why) from error
        except (ValueError, RuntimeError, KeyError, TypeError) as error:  # what the client makes of strange answers
            raise turned_down(name, self.endpoint, first_line(error)) from error

    def _answered(self, error: HfHubHTTPError, name: str) -> SansiError:
        status = error.response.status_code
        if status in (401, 403) or isinstance(error, RepositoryNotFoundError):
            return refused(name, self.endpoint, SIGN_IN, status)
        if status in WORTH_A_RETRY:
            return broken_off(name, self.endpoint, f"it answers {status}")
        return turned_down(name, self.endpoint, error.server_message or f"it answers {status}")
