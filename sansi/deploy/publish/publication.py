"""A model on its way to a hub: what would go up, with which card, what is wrong with it; and the upload."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import write_json, write_text
from sansi.base.model_card import EVALUATION_FILE
from sansi.base.state import state_folder
from sansi.deploy.publish.card import card_of
from sansi.deploy.publish.check import check_contents
from sansi.deploy.publish.contents import CARD, Contents, contents_of
from sansi.deploy.publish.evaluation import evaluation_table
from sansi.deploy.publish.finding import Finding
from sansi.deploy.publish.hubs import Destination, Upload
from sansi.deploy.publish.limits import check_limits
from sansi.deploy.publish.origin import Origin, front_matter_of, licence_in, origin_of, with_choices
from sansi.deploy.publish.running import runs_of
from sansi.deploy.publish.secrets import secrets_in


@dataclass(frozen=True)
class CardChoices:
    """What somebody says for the card that is made; nothing of it where a card is there already."""

    file: Path | None = None
    """The card to take; written where it is not there yet."""
    licence: str | None = None
    base_model: str | None = None
    relation: str | None = None
    languages: tuple[str, ...] = ()
    evaluation: Path | None = None

    def given(self) -> list[str]:
        """The options that only a card which is made can take."""
        options: dict[str, object] = {
            "--license": self.licence,
            "--base-model": self.base_model,
            "--relation": self.relation,
        }
        options |= {"--language": self.languages, "--evaluation": self.evaluation}
        return [option for option, value in options.items() if value]


@dataclass(frozen=True)
class Publication:
    """What a dry run tells, and what an upload sends."""

    hub: str
    name: str
    contents: Contents
    """Without the card."""
    card: str
    card_from: str
    """Where the card is from, in words."""
    origin: Origin
    findings: tuple[Finding, ...]

    @property
    def blocked(self) -> bool:
        return any(finding.blocks for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """For programs; without the card's text and the origin's configuration."""
        files = [{"name": file.name, "bytes": file.size} for file in self.contents.files if file.name != CARD]
        card = {"name": CARD, "bytes": len(self.card.encode()), "from": self.card_from}
        return {
            "hub": self.hub,
            "name": self.name,
            "files": [card, *files],
            "bytes": sum(entry["bytes"] for entry in [card, *files]),
            "left_out": [{"name": left.name, "why": left.why} for left in self.contents.left_out],
            "licence": self.origin.licence,
            "base_model": self.origin.base_model,
            "format": self.origin.format,
            "problems": [str(finding) for finding in self.findings if finding.blocks],
            "notes": [str(finding) for finding in self.findings if not finding.blocks],
            "ready": not self.blocked,
        }


def prepare(source: Path, hub: str, name: str, choices: CardChoices, exclude: Sequence[str] = ()) -> Publication:
    """All that is known before the network is asked; nothing is written but a card that --card wants.

    Raises SansiError where the source is no model, and for options that contradict what is there.
    """
    contents = contents_of(source, exclude)
    findings = check_contents(contents)
    origin = with_choices(origin_of(contents), choices.licence, choices.base_model, choices.relation, choices.languages)
    card, card_from, own = _card(contents, origin, hub, name, choices)
    front = front_matter_of(card)
    if own:
        origin = _as_stated(origin, front)
    findings += [finding for finding in secrets_in(CARD, card) if finding not in findings]  # it may lie elsewhere
    findings += [*_check_card(origin, front, own), *check_limits(contents.files, hub)]
    return Publication(hub, name, contents, card, card_from, origin, tuple(findings))


def _card(contents: Contents, origin: Origin, hub: str, name: str, choices: CardChoices) -> tuple[str, str, bool]:
    """The card, where it is from, and whether somebody wrote it."""
    file = contents.file(CARD)
    existing = choices.file if choices.file and choices.file.exists() else None
    if existing is None and choices.file is None and file is not None:
        existing = file.path
    if existing is not None:
        if given := choices.given():
            todo = "write it there, or give --card NEW.md for a card that is made"
            raise SansiError(f"{given[0]}: {existing} goes up as it is; {todo}", param=given[0])
        return _read(existing), f"{existing}, as it is", True
    made = card_of(contents, origin, name, runs_of(contents, origin, hub, name), _evaluation(contents, choices))
    if choices.file is None:
        return made, "made here; --card FILE keeps it, to be edited", False
    write_text(choices.file, made)
    return made, f"made, and written to {choices.file}", False


def _evaluation(contents: Contents, choices: CardChoices) -> str | None:
    if choices.evaluation:
        return evaluation_table(choices.evaluation)
    own = contents.file(EVALUATION_FILE)
    return evaluation_table(own.path) if own else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SansiError(f"{file} is no text that can be read; give another --card", param="card") from error


def _as_stated(origin: Origin, front: Mapping[str, Any]) -> Origin:
    """The licence as a card states it that goes up as it is."""
    stated = licence_in(front)
    return replace(origin, licence=str(stated) if stated else None)


def _check_card(origin: Origin, front: Mapping[str, Any], own: bool) -> Iterator[Finding]:
    """What others must know of a model."""
    where = "write `license:` into its head" if own else "give --license, e.g. apache-2.0"
    if origin.licence is None:
        yield Finding(CARD, f"it states no licence, so nobody may use the model; {where}")
    if origin.quantisation and not front.get("base_model"):
        todo = "write `base_model:` into its head" if own else "give --base-model OWNER/NAME"
        yield Finding(CARD, f"it does not say which model was quantised; {todo}", blocks=False)
    if own and front.get("pipeline_tag") is None:
        yield Finding(CARD, "without `pipeline_tag: text-generation` in its head hubs do not list it", blocks=False)


# --- the upload ---------------------------------------------------------------------------------------------------


def upload(publication: Publication, destination: Destination, private: bool, update: bool, message: str) -> str:
    """Send it; the address of its page. An upload that broke off is gone on with.

    update: files of a model that is there already may be replaced. Raises SansiError for what is wrong with the model,
    without a token or a network, for a name that is taken, and where the hub does not take it.
    """
    if publication.blocked:
        first = next(finding for finding in publication.findings if finding.blocks)
        raise SansiError(f"nothing was uploaded: {first}")
    destination.check_access()
    begun = _Begun(destination, publication.name)
    if not (update or begun.known()) and destination.exists(publication.name):
        todo = "--update puts these files in the place of those of their names there; or choose another name"
        raise SansiError(f"{publication.name} is taken at {destination.endpoint}; {todo}", code="name_taken")
    begun.note()
    with _staged(publication) as folder:
        licence = publication.origin.licence
        what = Upload(publication.name, folder, licence, private, message, begun.notes)
        with contextlib.redirect_stdout(sys.stderr):  # the clients tell what they do; the answer is the caller's
            address = destination.upload(what)
    begun.forget()
    return address


class _Begun:
    """A note that an upload was begun from here, so that it may go on into what it made itself."""

    def __init__(self, destination: Destination, name: str):
        digest = hashlib.sha256(f"{destination.endpoint} {name}".encode()).hexdigest()[:16]
        self._place = state_folder() / "publish"
        self._file = self._place / f"{digest}.json"
        self.notes = self._place / f"{digest}.notes"
        self._what = {"endpoint": destination.endpoint, "name": name}

    def known(self) -> bool:
        try:
            return json.loads(self._file.read_text(encoding="utf-8")) == self._what
        except (OSError, ValueError):
            return False

    def note(self) -> None:
        write_json(self._file, self._what)

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


@contextlib.contextmanager
def _staged(publication: Publication) -> Iterator[Path]:
    """A folder of links to the files, with the card among them; the model's own folder is not touched."""
    with tempfile.TemporaryDirectory(prefix="sansi-publish-") as name:
        folder = Path(name)
        for file in publication.contents.files:
            if file.name != CARD:
                link = folder / file.name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.path.resolve())
        card = folder / CARD
        card.write_text(publication.card, encoding="utf-8")
        time = int(hashlib.sha256(publication.card.encode()).hexdigest()[:7], 16)
        os.utime(card, (time, time))  # a client that knows files by their times knows the same card again
        yield folder
