"""ModelScope, or the hub of MODELSCOPE_ENDPOINT, by modelscope_hub."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from modelscope_hub import HubApi
from modelscope_hub.config import HubConfig
from modelscope_hub.errors import APIError, AuthenticationError, HubError, NetworkError, PermissionDeniedError

from sansi.base.errors import SansiError
from sansi.deploy.publish.hubs.destination import (
    Upload,
    broken_off,
    first_line,
    no_token,
    refused,
    turned_down,
)
from sansi.model.hub.names import without_password

SIGN_IN = "`modelscope login`, or MODELSCOPE_API_TOKEN in the environment"
_KIND = "model"

logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL)  # what matters is told by our errors


class ModelScopeDestination:
    """`Destination` over modelscope_hub. endpoint: default the client's own."""

    title = "ModelScope"

    def __init__(self, endpoint: str | None = None):
        config = HubConfig(endpoint=endpoint)
        self._api = HubApi(config)
        self._token = config.token
        self.endpoint = without_password(str(config.endpoint))

    def check_access(self) -> None:
        """Raise SansiError where there is no token, or one that the hub does not know."""
        if not self._token:
            raise no_token(self.title, SIGN_IN)
        with self._explained("your token"):
            self._api.whoami()

    def exists(self, name: str) -> bool:
        """Whether there is a model of that name."""
        with self._explained(name):
            return bool(self._api.repo_exists(name, _KIND))

    def upload(self, upload: Upload) -> str:
        """Send the files; the client notes in `upload.notes` what has arrived."""
        upload.notes.parent.mkdir(parents=True, exist_ok=True)
        said: list[str] = []  # why commits failed, which the client's own error leaves out

        def heard(event: dict[str, Any]) -> None:
            said.extend([str(event["error"])] if event.get("error") else [])

        with self._explained(upload.name, said):
            if not self._api.repo_exists(upload.name, _KIND):
                visibility = "private" if upload.private else "public"
                self._api.create_repo(upload.name, _KIND, visibility=visibility, license=upload.licence)
            self._api.upload_folder(
                upload.name, _KIND, upload.folder, commit_message=upload.message, use_cache=True,
                tracker_path=upload.notes, ignore_patterns=[], progress_callback=heard,
            )  # fmt: skip
        return f"{self.endpoint}/models/{upload.name}"

    @contextmanager
    def _explained(self, name: str, said: Sequence[str] = ()) -> Iterator[None]:
        try:
            yield
        except SansiError:
            raise
        except (AuthenticationError, PermissionDeniedError) as error:
            raise refused(name, self.endpoint, SIGN_IN, error.status_code) from error
        except NetworkError as error:
            raise broken_off(name, self.endpoint, first_line(error)) from error
        except APIError as error:
            status = error.status_code or 0
            told = broken_off if status >= 500 or status == 429 else turned_down
            raise told(name, self.endpoint, f"it answers {status}: {first_line(error)}") from error
        except (HubError, RuntimeError) as error:
            told = turned_down if said else broken_off
            raise told(name, self.endpoint, said[-1] if said else first_line(error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise turned_down(name, self.endpoint, first_line(error)) from error
