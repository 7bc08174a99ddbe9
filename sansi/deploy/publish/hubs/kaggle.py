"""Kaggle's models, by kagglehub: OWNER/MODEL/FRAMEWORK/VARIATION, of which each upload is a version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import kagglehub
import requests
from kagglehub.clients import build_kaggle_client
from kagglehub.config import get_kaggle_credentials
from kagglehub.exceptions import BackendError, KaggleApiHTTPError
from kagglehub.handle import parse_model_handle
from kagglesdk.kaggle_env import get_endpoint, get_env
from kagglesdk.models.types.model_api_service import ApiGetModelInstanceRequest

from sansi.base.errors import SansiError
from sansi.deploy.publish.hubs.destination import Upload, broken_off, first_line, no_token, refused, turned_down

SIGN_IN = "`kaggle.json` of your account page in ~/.kaggle, or KAGGLE_API_TOKEN in the environment"
LICENCES: Mapping[str, str] = {"apache-2.0": "Apache 2.0", "mit": "MIT"}
"""Kaggle's own spelling; other licences go up as they are given."""


class KaggleDestination:
    """`Destination` over kagglehub. Its client goes on after a break within a run; the next run sends files anew."""

    title = "Kaggle"

    def __init__(self) -> None:
        self.endpoint = get_endpoint(get_env())

    def check_access(self) -> None:
        """Raise SansiError where there is no token; whether it holds is seen by the first request."""
        try:
            known = get_kaggle_credentials()
        except ValueError as error:
            raise SansiError(f"{first_line(error)}; download kaggle.json anew", code="no_token") from error
        if known is None:
            raise no_token(self.title, SIGN_IN)

    def exists(self, name: str) -> bool:
        """Whether there is such a variation; then an upload is its next version."""
        handle = parse_model_handle(name)
        request = ApiGetModelInstanceRequest()
        request.owner_slug, request.model_slug = handle.owner, handle.model
        request.framework, request.instance_slug = handle.framework_enum(), handle.variation
        with self._explained(name), build_kaggle_client() as api:
            try:
                api.models.model_api_client.get_model_instance(request)
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code in (403, 404):
                    return False  # what is not there, Kaggle forbids
                raise
        return True

    def upload(self, upload: Upload) -> str:
        """Send the files, then make the variation or its next version of them."""
        licence = LICENCES.get((upload.licence or "").lower(), upload.licence)
        with self._explained(upload.name):
            kagglehub.model_upload(upload.name, str(upload.folder), license_name=licence, version_notes=upload.message)
        return str(parse_model_handle(upload.name).to_url())

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except (KaggleApiHTTPError, requests.HTTPError) as error:
            status = error.response.status_code if error.response is not None else 0
            if status in (401, 403):
                raise refused(name, self.endpoint, SIGN_IN, status) from error
            told = broken_off if status >= 500 or status == 429 else turned_down
            raise told(name, self.endpoint, f"it answers {status}") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise broken_off(name, self.endpoint, first_line(error)) from error
        except BackendError as error:
            raise turned_down(name, self.endpoint, first_line(error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise turned_down(name, self.endpoint, first_line(error)) from error
