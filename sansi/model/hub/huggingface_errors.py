"""What the errors of huggingface_hub mean for a user, in a sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from sansi.base.errors import SansiError
from sansi.model.hub.names import ModelName, nearest
from sansi.model.hub.resume import Broken

SIGN_IN = "`hf auth login`, or HF_TOKEN in the environment"
WORTH_A_RETRY = (408, 429, 500, 502, 503, 504)


@contextmanager
def explained(name: ModelName, endpoint: str) -> Iterator[None]:
    """Raise SansiError where huggingface_hub raises something, or the hub answers as none does."""
    try:
        yield
    except (SansiError, Broken):
        raise
    except (HTTPError, LocalEntryNotFoundError, ConnectionError, ValueError, KeyError, TypeError) as error:
        raise sentence(error, name, endpoint) from error


def is_broken(error: Exception) -> bool:
    """Whether a new try may go on where this one ended."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in WORTH_A_RETRY
    return isinstance(error, HTTPError | ConnectionError) and not isinstance(error, OfflineModeIsEnabled)


def sentence(error: BaseException, name: ModelName, endpoint: str) -> SansiError:
    """The error as a user reads it. Its code: gated, model_not_found, hub_offline, or None."""
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__  # why the hub was not heard
    if isinstance(error, GatedRepoError):
        todo = f"ask for access on {endpoint}/{name.repository}, then sign in: {SIGN_IN}"
        return SansiError(f"{name} is gated, its owner decides who gets it; {todo}", code="gated")
    if isinstance(error, RevisionNotFoundError):
        todo = f"{endpoint}/{name.repository}/tree/main shows those that there are"
        return SansiError(f'{name.repository} has no revision "{name.revision or "main"}"; {todo}')
    if isinstance(error, RepositoryNotFoundError):
        message = f"there is no model {name.repository} at {endpoint}, or it is private (then sign in: {SIGN_IN})"
        return SansiError(f"{message}{nearest(name.repository)}", code="model_not_found")
    if isinstance(error, HfHubHTTPError):
        return _refused(error.response.status_code, name, endpoint)
    if isinstance(error, HTTPError | ConnectionError | LocalEntryNotFoundError):
        return unreachable(name, endpoint, _why(error))
    message = f"{endpoint} does not answer as a hub does ({type(error).__name__})"
    return SansiError(f"{message}; check the network (a sign-in page?) and HF_ENDPOINT", code="hub_offline")


def unreachable(name: ModelName, endpoint: str, why: str) -> SansiError:
    """The error where the network is away, or the hub."""
    todo = f"on a machine that has one, `hf download {name.repository} --local-dir FOLDER`; then give that folder"
    message = f"{name} is not in the cache, or not whole, and {endpoint} can not be reached ({why})"
    return SansiError(f"{message}; without a network: {todo}", code="hub_offline")


def _refused(status: int, name: ModelName, endpoint: str) -> SansiError:
    if status in (401, 403):
        message = f"{endpoint} does not let you read {name} ({status})"
        return SansiError(f"{message}; sign in with a token that may: {SIGN_IN}", code="gated")
    if status == 429:
        message = f"{endpoint} has had too many requests from here ({status})"
        return SansiError(f"{message}; wait some minutes, or sign in: {SIGN_IN}")
    return unreachable(name, endpoint, f"it answers {status}")


def _why(error: BaseException) -> str:
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set"
    if "Timeout" in type(error).__name__:
        return "no answer in time"
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"\[Errno -?\d+\] ", "", first)
