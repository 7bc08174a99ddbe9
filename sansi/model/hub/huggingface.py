"""The Hugging Face hub, or a mirror of it (HF_ENDPOINT), and its own cache (HF_HOME), by huggingface_hub.

huggingface_hub finds names and files, signs in, and links what is in the cache. Large files are read here (`resume`):
into the place where the cache has half ones, so that what a killed process leaves is gone on from, and with the hub's
digest checked before they get their name, so that nothing wrong is ever in the cache.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import Timeout
from huggingface_hub import DeleteCacheStrategy, HfApi, constants, hf_hub_download, hf_hub_url, scan_cache_dir
from huggingface_hub.utils import WeakFileLock, build_hf_headers, close_session, get_session, hf_raise_for_status

from sansi import __version__
from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_text
from sansi.model.hub.huggingface_errors import explained, is_broken
from sansi.model.hub.names import ModelName, without_password
from sansi.model.hub.repository import (
    CONFIG,
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
from sansi.model.hub.resume import Broken, Stream, check_digest, disk_explained, read_rest, wrong_bytes

DEFAULT_REVISION = "main"
ANSWER_SECONDS = 10.0  # for the hub's first word
SILENCE_SECONDS = 30.0  # within a file
AT_ONCE = 4  # files
LOCK_SECONDS = 0.5  # between looks at whether to stop
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LIBRARY: dict[str, Any] = {"library_name": "sansi", "library_version": __version__}


class HuggingFace:
    """`Hub` over huggingface_hub. endpoint and cache: default huggingface_hub's own."""

    title = "Hugging Face"
    default_revision = DEFAULT_REVISION

    def __init__(self, endpoint: str | None = None, cache: str | Path | None = None):
        self.address = (endpoint or constants.ENDPOINT).rstrip("/")
        self.endpoint = without_password(self.address)
        self.cache = Path(cache or constants.HF_HUB_CACHE).expanduser()

    def repository(self, name: ModelName) -> Repository:
        """What the hub says of a model. Raises SansiError if it does not know it, will not tell, or does not answer."""
        api = HfApi(endpoint=self.address, **_LIBRARY)
        with explained(name, self.endpoint):
            info = api.model_info(name.repository, revision=name.revision, files_metadata=True, timeout=ANSWER_SECONDS)
        files = [
            HubFile(entry.rfilename, entry.size or 0, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
            for entry in info.siblings or ()
        ]
        licence = _licence(info.card_data or {}) or _tagged(info.tags or ())
        return Repository(self.title, name, info.sha or DEFAULT_REVISION, licence, tuple(files))

    def read(self, repository: Repository, file: str) -> dict[str, Any]:
        """A small JSON file of a repository."""
        described = repository.file(file)
        assert described is not None
        fetch = _Fetch(self, repository)
        with disk_explained(self.cache, "HF_HOME"):
            value = read_json(fetch.small(described))
        if not isinstance(value, dict):
            raise SansiError(f"{repository.name}: {file} is no JSON object; take another revision or model")
        return value

    def present(self, repository: Repository, file: HubFile) -> int:
        """How many bytes of a file are in the cache already."""
        fetch = _Fetch(self, repository)
        blob = fetch.blob(file)
        if (fetch.snapshot / file.name).exists() or blob.exists():
            return file.size
        half = _half(blob)
        return min(half.stat().st_size, file.size) if half.exists() else 0

    def beginning(self, repository: Repository, file: HubFile, count: int) -> bytes:
        """The first `count` bytes of a file, which do not come into the cache."""
        kept = bytearray()
        with explained(repository.name, self.endpoint), _Fetch(self, repository).opened(file)(0) as stream:
            for piece in stream.pieces:
                kept += piece
                if len(kept) >= count:
                    break
        return bytes(kept[:count])

    def download(self, repository: Repository, files: Sequence[HubFile], report: Report) -> Path:
        """Fetch files into the cache, the small ones first; the revision means them only once all are there.

        Raises SansiError when the connection, the disk or the content fails; what came is kept, and goes on next time.
        """
        fetch = _Fetch(self, repository, report)
        with disk_explained(self.cache, "HF_HOME"):
            for file in files:
                if file.sha256 is None:
                    fetch.small(file)
            fetch.together([file for file in files if file.sha256 is not None])
            self._remember(repository)
        return fetch.snapshot

    def folder(self, name: ModelName) -> Path | None:
        """The folder, or the GGUF file, of a model that is whole in the cache; asks no network."""
        commit = self._cached_commit(name)
        folder = self.home(name.repository) / "snapshots" / commit if commit else None
        return found_in(folder, name) if folder else None

    def models(self) -> list[CachedModel]:
        """The models of the Qwen3 design in the cache, whole or not; asks no network."""
        found: list[CachedModel] = []
        for home in sorted(self.cache.glob("models--*--*")):
            repository = "/".join(home.name.split("--")[1:])
            for name, snapshot in _named_snapshots(home, repository):
                found += gguf_models(self.title, repository, name.revision, snapshot)
                if is_qwen3(snapshot / CONFIG):
                    whole = is_whole(snapshot)
                    size = size_of(snapshot) + (0 if whole else sum(f.stat().st_size for f in _halves(home)))
                    licence = licence_of(snapshot)
                    found.append(CachedModel(self.title, name, snapshot if whole else None, size, licence))
        return found

    def freed(self, name: ModelName) -> int:
        """The bytes that removing a model, or one revision of it, frees: what other revisions need too stays."""
        part = self._part(name)
        return size_of(self.home(name.repository)) if part is None else part.expected_freed_size

    def remove(self, name: ModelName) -> int:
        """Delete a model, or one revision of it, from the cache; the bytes that are free again."""
        home, part = self.home(name.repository), self._part(name)
        if part is not None:
            part.execute()
            return part.expected_freed_size
        size = size_of(home)
        shutil.rmtree(home)
        shutil.rmtree(self.cache / ".locks" / home.name, ignore_errors=True)
        return size

    def _part(self, name: ModelName) -> DeleteCacheStrategy | None:
        """What goes with one revision; None for the model as a whole. Raises SansiError where it is not there."""
        check_removable(name)
        home, commit = self.home(name.repository), self._cached_commit(name)
        if not home.is_dir() or (name.revision is not None and commit is None):
            raise SansiError(f"{name} is not in the cache ({self.cache}); `sansi list` shows what is")
        if name.revision is None or commit is None:
            return None
        return scan_cache_dir(self.cache).delete_revisions(commit)  # which looks through the whole cache

    def home(self, repository: str) -> Path:
        """Where the cache keeps all of a repository."""
        return self.cache / f"models--{repository.replace('/', '--')}"

    def _cached_commit(self, name: ModelName) -> str | None:
        revision = name.revision or DEFAULT_REVISION
        if _COMMIT.fullmatch(revision):
            return revision if (self.home(name.repository) / "snapshots" / revision).is_dir() else None
        try:
            return (self.home(name.repository) / "refs" / revision).read_text().strip()
        except (OSError, ValueError):
            return None

    def _remember(self, repository: Repository) -> None:
        """What the revision means, as the cache keeps it."""
        revision = repository.name.revision or DEFAULT_REVISION
        if not _COMMIT.fullmatch(revision):
            write_text(self.home(repository.name.repository) / "refs" / revision, repository.commit)


@dataclass(frozen=True)
class _Fetch:
    """The files of one repository on their way into the cache."""

    hub: HuggingFace
    repository: Repository
    report: Report = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    streams: list[Any] = field(default_factory=list)
    """The connections of the answers that are being read."""

    @property
    def snapshot(self) -> Path:
        return self._home / "snapshots" / self.repository.commit

    def blob(self, file: HubFile) -> Path:
        """Where the cache keeps the content."""
        return self._home / "blobs" / (file.sha256 or file.blob_id or file.name)

    def small(self, file: HubFile) -> Path:
        """Fetch a file whole, and compare it with git's id of it."""
        path = self._linked(file)
        content = path.read_bytes()
        if file.blob_id and hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() != file.blob_id:
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise wrong_bytes(f"{self.repository.name}: {file.name}", self.hub.endpoint)
        self.report(file.size)
        return path

    def together(self, files: Sequence[HubFile]) -> None:
        """Fetch large files, some at a time; the first error ends them all."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            fetches = [pool.submit(self._large, file) for file in files]
            try:
                for fetch in fetches:
                    fetch.result()
            except BaseException:
                self.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for stream in list(self.streams):  # threads that wait for a silent server wake up
                    _end(stream)
                close_session()
                raise

    def _large(self, file: HubFile) -> None:
        blob = self.blob(file)
        lock = self.hub.cache / ".locks" / self._home.name / f"{blob.name}.lock"
        for folder in (blob.parent, lock.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with self._alone(lock):  # another process may be at it; then its bytes are ours too
            if self.stop.is_set():
                return
            if blob.exists() or (self.snapshot / file.name).exists():
                self.report(file.size)
            else:
                self._read(file, blob)
        if not self.stop.is_set():
            self._linked(file)

    @contextmanager
    def _alone(self, lock: Path) -> Iterator[None]:
        """Hold the lock, or be told to stop while others hold it: an interrupt is not to wait for their download."""
        with ExitStack() as held:
            while not self.stop.is_set():
                try:
                    held.enter_context(WeakFileLock(lock, timeout=LOCK_SECONDS))
                    break
                except Timeout:
                    continue
            yield

    def _read(self, file: HubFile, blob: Path) -> None:
        assert file.sha256 is not None
        half = _half(blob)
        with explained(self.repository.name, self.hub.endpoint):
            read_rest(half, file.size, self.opened(file), self.report, self.stop)
        if not self.stop.is_set():
            check_digest(half, file.sha256, f"{self.repository.name}: {file.name}", self.hub.endpoint)
            half.replace(blob)

    def opened(self, file: HubFile) -> Callable[[int], Any]:
        name, commit = self.repository.name.repository, self.repository.commit
        url = hf_hub_url(name, file.name, revision=commit, endpoint=self.hub.address)

        @contextmanager
        def opened_at(first: int) -> Iterator[Stream]:
            headers = build_hf_headers(**_LIBRARY) | {"Accept-Encoding": "identity"}
            headers |= {"Range": f"bytes={first}-"} if first else {}
            try:
                with get_session().stream(
                    "GET", url, headers=headers, timeout=SILENCE_SECONDS, follow_redirects=True
                ) as response:
                    hf_raise_for_status(response)
                    partial = response.status_code == 206
                    with self._noted(response.extensions.get("network_stream")):
                        yield Stream(first if partial else 0, response.iter_bytes())
            except Exception as error:
                if is_broken(error):
                    raise Broken from error
                raise

        return opened_at

    @contextmanager
    def _noted(self, stream: Any) -> Iterator[None]:
        """While an answer is read, its connection is among those that an interrupt ends."""
        self.streams.append(stream)
        try:
            if self.stop.is_set():
                _end(stream)
            yield
        finally:
            self.streams.remove(stream)

    def _linked(self, file: HubFile) -> Path:
        """The file in its snapshot; huggingface_hub fetches what the cache does not hold yet."""
        with explained(self.repository.name, self.hub.endpoint):
            path = hf_hub_download(
                self.repository.name.repository,
                file.name,
                revision=self.repository.commit,
                cache_dir=self.hub.cache,
                endpoint=self.hub.address,
                etag_timeout=ANSWER_SECONDS,
                tqdm_class=_Silent,
                **_LIBRARY,
            )
        return Path(path)

    @property
    def _home(self) -> Path:
        return self.hub.home(self.repository.name.repository)


def _end(stream: Any) -> None:
    """End a connection under whoever reads from it: closing alone leaves a reader waiting for what never comes."""
    connection = stream.get_extra_info("socket") if stream is not None else None
    if connection is not None:
        with suppress(OSError):  # it has just ended by itself
            connection.shutdown(socket.SHUT_RDWR)


class _Silent:
    """A progress bar, as huggingface_hub asks for one, that shows nothing: ours shows all files together."""

    def __init__(self, *_: Any, **__: Any):
        self.total = self.n = 0

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, _: float | None = 1) -> None:
        pass

    close = refresh = reset = set_postfix_str = set_description = lambda *_, **__: None


def _named_snapshots(home: Path, repository: str) -> Iterator[tuple[ModelName, Path]]:
    """Each revision that the cache knows by name; then commits that no name means, and half ones."""
    refs = sorted(file for file in (home / "refs").rglob("[!.]*") if file.is_file())
    named = {str(file.relative_to(home / "refs")): file.read_text().strip() for file in refs}
    for revision, commit in named.items():
        yield ModelName(repository, None if revision == DEFAULT_REVISION else revision), home / "snapshots" / commit
    for snapshot in sorted((home / "snapshots").glob("*")):
        if snapshot.name not in named.values():
            yield ModelName(repository, snapshot.name if is_whole(snapshot) else None), snapshot


def _half(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")


def _halves(home: Path) -> list[Path]:
    return list((home / "blobs").glob("*.incomplete"))


def _licence(card: Any) -> str | None:
    licence = card.get("license_name") if card.get("license") == "other" else card.get("license")
    return str(licence) if licence else None


def _tagged(tags: Sequence[str]) -> str | None:
    return next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), None)
