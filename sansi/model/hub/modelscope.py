"""The ModelScope hub (MODELSCOPE_ENDPOINT) and its own cache (MODELSCOPE_CACHE), by its client, modelscope_hub.

The client goes on with half files and verifies all of them. Its cache keeps a folder for each revision by name, so what
is there stays as it came until `sansi pull` asks again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from modelscope_hub import HubApi, HubConfig, ProgressCallback, _download
from modelscope_hub.errors import (
    APIError,
    AuthenticationError,
    CacheNotFound,
    FileDownloadError,
    FileIntegrityError,
    HubError,
    NotExistError,
    PermissionDeniedError,
)

from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_text
from sansi.model.hub.names import ModelName, nearest, without_password
from sansi.model.hub.repository import (
    CONFIG,
    MIXED,
    CachedModel,
    HubFile,
    Report,
    Repository,
    check_removable,
    found_in,
    gguf_models,
    is_qwen3,
    is_whole,
    licence_of,
    size_of,
)
from sansi.model.hub.resume import disk_explained, wrong_bytes

DEFAULT_REVISION = "master"
SIGN_IN = "`modelscope login`, or MODELSCOPE_API_TOKEN in the environment"
_KIND = "model"
SILENCE_SECONDS = 60.0
WEIGHTS = (".safetensors", ".gguf")

# The client draws a bar for each file, whatever the terminal, and has no switch for it; ours shows all files together.
_download.tqdm = partial(_download.tqdm, disable=True)


class ModelScope:
    """`Hub` over modelscope_hub. endpoint and cache: default the client's own."""

    title = "ModelScope"
    default_revision = DEFAULT_REVISION

    def __init__(self, endpoint: str | None = None, cache: str | Path | None = None):
        config = HubConfig(endpoint=endpoint)
        if cache is not None:
            config.cache_dir = Path(cache)
        self._api = HubApi(config)
        self.endpoint, self.cache = without_password(str(config.endpoint)), Path(config.cache_dir)

    def repository(self, name: ModelName) -> Repository:
        """What the hub says of a model. Raises SansiError if it does not know it, will not tell, or does not answer."""
        revision = name.revision or DEFAULT_REVISION
        with self._explained(name):
            info = self._api.get_repo(name.repository, _KIND)
        try:
            with self._explained(name):
                listed = self._api.list_repo_files(name.repository, _KIND, revision=revision)
        except SansiError as error:
            if error.code == "model_not_found":  # the model itself was found
                raise SansiError(f'{name.repository} has no revision "{revision}" at {self.endpoint}') from error
            raise
        files = [HubFile(file.path, file.size, file.sha256) for file in listed if not file.is_dir]
        licence = str(info.license).lower() if info.license else None
        return Repository(self.title, name, revision, licence, tuple(files))

    def read(self, repository: Repository, file: str) -> dict[str, Any]:
        """A small JSON file of a repository."""
        described = repository.file(file)
        assert described is not None
        value = read_json(self.download(repository, [described], lambda _: None) / file)
        if not isinstance(value, dict):
            raise SansiError(f"{repository.name}: {file} is no JSON object; take another revision or model")
        return value

    def present(self, repository: Repository, file: HubFile) -> int:
        """How many bytes of a file are in the cache already."""
        whole = self._snapshot(repository.name) / file.name
        half = whole.with_name(f"{whole.name}.incomplete")
        here = next((path.stat().st_size for path in (whole, half) if path.exists()), 0)
        return min(here, file.size)  # an older version may be larger

    def beginning(self, repository: Repository, file: HubFile, count: int) -> bytes:
        """The first `count` bytes of a file, which do not come into the cache."""
        client = self._api.legacy
        url = client.get_download_url(repository.name.repository, _KIND, file.name, repository.commit)
        with self._explained(repository.name):
            headers = {"Range": f"bytes=0-{count - 1}"}
            answer = client._read_session.get(url, headers=headers, timeout=SILENCE_SECONDS)
            answer.raise_for_status()
            return bytes(answer.content[:count])

    def download(self, repository: Repository, files: Sequence[HubFile], report: Report) -> Path:
        """Fetch files into the cache, those with the weights last, so that what looks whole is.

        The client puts a newer version over the older one, file by file: until all is there, the folder is marked as
        of two versions.
        """
        folder = self._snapshot(repository.name)
        if any(_is_older(folder / file.name, file) for file in files):
            write_text(folder / MIXED, "files of two versions; `sansi pull` goes on\n")
        small = [file for file in files if not file.name.endswith(WEIGHTS)]
        weights = [file for file in files if file.name.endswith(WEIGHTS)]
        for some in filter(None, (small, weights)):
            with self._explained(repository.name), disk_explained(self.cache, "MODELSCOPE_CACHE"):
                self._api.download_repo(
                    repository.name.repository,
                    _KIND,
                    revision=repository.commit,
                    file_list=[{"Path": file.name, "Size": file.size, "Sha256": file.sha256} for file in some],
                    progress_callbacks=[_reporting(report)],
                )
        if weights:  # (without them, a small file was read before the rest)
            (folder / MIXED).unlink(missing_ok=True)
        return folder

    def folder(self, name: ModelName) -> Path | None:
        """The folder, or the GGUF file, of a model that is whole in the cache; asks no network."""
        try:
            folder = self._api.download_repo(
                name.repository, _KIND, revision=name.revision or DEFAULT_REVISION, local_files_only=True
            )
        except CacheNotFound:
            return None
        return found_in(Path(folder), name)

    def models(self) -> list[CachedModel]:
        """The models of the Qwen3 design in the cache, whole or not; asks no network."""
        found: list[CachedModel] = []
        for snapshot in sorted((self.cache / "models").glob("*--*/snapshots/*")):
            repository = snapshot.parents[1].name.replace("--", "/", 1)
            revision = None if snapshot.name == DEFAULT_REVISION else snapshot.name
            found += gguf_models(self.title, repository, revision, snapshot)
            if is_qwen3(snapshot / CONFIG):
                folder = snapshot if is_whole(snapshot) else None
                name = ModelName(repository, revision)
                found.append(CachedModel(self.title, name, folder, size_of(snapshot), licence_of(snapshot)))
        return found

    def freed(self, name: ModelName) -> int:
        """The bytes that removing a model, or one revision of it, frees."""
        return size_of(self._place(name))

    def remove(self, name: ModelName) -> int:
        """Delete a model, or one revision of it, from the cache; the bytes that are free again."""
        place = self._place(name)
        size = size_of(place)
        shutil.rmtree(place)
        return size

    def _place(self, name: ModelName) -> Path:
        """Where the model, or its revision, is. Raises SansiError where it is not."""
        check_removable(name)
        home = self._snapshot(name).parents[1]
        place = home if name.revision is None else self._snapshot(name)
        if not place.is_dir():
            raise SansiError(f"{name} is not in the cache ({self.cache}); `sansi list` shows what is")
        return place

    def _snapshot(self, name: ModelName) -> Path:
        home = self.cache / "models" / name.repository.replace("/", "--")
        return home / "snapshots" / (name.revision or DEFAULT_REVISION)

    @contextmanager
    def _explained(self, name: ModelName) -> Iterator[None]:
        try:
            yield
        except FileDownloadError as error:
            first = next(iter(error.failed_files.values()), error)
            if isinstance(first, OSError) and not isinstance(first, HubError):
                raise first from error
            raise self._sentence(first, name) from error
        except (HubError, KeyError, TypeError) as error:
            raise self._sentence(error, name) from error
        except ValueError as error:
            raise error if isinstance(error, SansiError) else self._sentence(error, name) from error

    def _sentence(self, error: BaseException, name: ModelName) -> SansiError:
        if isinstance(error, NotExistError):
            message = f"there is no model {name.repository} at {self.endpoint}, or it is private (then: {SIGN_IN})"
            return SansiError(f"{message}{nearest(name.repository)}", code="model_not_found")
        if isinstance(error, AuthenticationError | PermissionDeniedError):
            message = f"{self.endpoint} does not let you read {name}"
            return SansiError(f"{message}; ask for access on its page, then sign in: {SIGN_IN}", code="gated")
        if isinstance(error, FileIntegrityError):
            return wrong_bytes(str(name), self.endpoint)
        why = f"it answers {error.status_code}" if isinstance(error, APIError) else type(error).__name__
        todo = f"`modelscope download {name.repository} --local_dir FOLDER`; then give that folder"
        message = f"{name} is not in the cache, or not whole, and {self.endpoint} can not be reached ({why})"
        return SansiError(f"{message}; without a network: on a machine that has one, {todo}", code="hub_offline")


def _is_older(path: Path, file: HubFile) -> bool:
    """Whether another version of a file is there. Of weights the size alone is compared: to read them takes long."""
    if not path.is_file():
        return False
    if path.stat().st_size != file.size:
        return True
    known = file.sha256 if not file.name.endswith(WEIGHTS) else None
    return known is not None and hashlib.sha256(path.read_bytes()).hexdigest() != known


def _reporting(report: Report) -> type[ProgressCallback]:
    """The client wants a class, of which it makes one for each file."""

    class Reporting(ProgressCallback):
        def update(self, size: int) -> None:
            report(size)

    return Reporting
