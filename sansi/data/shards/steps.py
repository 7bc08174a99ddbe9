"""Document to step and back: which documents did step N read, and when was this one read?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.data.samples import SampleDataset, read_samples
from sansi.data.shards.dataset import PackedDataset
from sansi.data.shards.folder import PackedFolder
from sansi.data.shards.known import BRIEF
from sansi.data.shards.manifest import MANIFEST_FILE
from sansi.data.shards.mixed import Drawn, Mixture
from sansi.data.shards.record import RECORD_FILE, DataRecord, read_record
from sansi.data.shards.streams import RowStream

Part = PackedDataset | SampleDataset


@dataclass(frozen=True)
class RowPlace:
    """A row that a step read."""

    number: int
    """In the whole run, from 0."""
    dataset: int
    """Which of the datasets of a mixture; 0 without one."""
    index: int
    """The row in its dataset, in the order of the shards; of samples its place in the epoch."""
    epoch: int


@dataclass(frozen=True)
class Read:
    """A document, or a piece of one, in a row of a step."""

    row: int
    """Of the step, from 0."""
    folder: Path
    document: int
    """Its number in the folder."""
    begin: int
    """Its first token in the document."""
    tokens: int
    epoch: int
    known: Mapping[str, Any]
    """What is known of it: `BRIEF`."""


@dataclass(frozen=True)
class Seen:
    """A pass over a document in training."""

    step: int
    """From 1; of a document in pieces the first step that read one."""
    epoch: int
    steps: tuple[int, ...]
    """All steps that read a piece of it."""


class Steps:
    """The steps of a run, as far as its data tells: any number of them, taken or not."""

    def __init__(self, stream: RowStream, rows_per_step: int, first_row: int = 0):
        self.rows_per_step, self.first_row = rows_per_step, first_row
        self.mixture = stream if isinstance(stream, Mixture) else None
        datasets = stream.datasets if isinstance(stream, Mixture) else [stream]
        self.datasets: list[Part] = [part for part in datasets if isinstance(part, PackedDataset | SampleDataset)]
        if len(self.datasets) < len(datasets):
            raise SansiError("the rows of this stream can not be found again: it is of no known kind")
        self._folders: dict[Path, PackedFolder] = {}

    @classmethod
    def of_run(cls, run: Path) -> Steps:
        """Of a run's folder. Raises SansiError where its data is not what it read."""
        record = read_record(run)
        try:
            stream = open_stream(record)
        except SansiError as error:
            raise SansiError(f"{Path(run) / RECORD_FILE}: the data of this run can not be opened: {error}") from error
        return cls(stream, record.rows_per_step, _first_row(record, stream))

    @classmethod
    def of_shards(cls, folder: Path, sequence_length: int | None, rows_per_step: int, seed: int = 0) -> Steps:
        """Of a run on one packed folder that this seed and batch size would be."""
        return cls(PackedDataset([folder], sequence_length, rows_per_step, seed), rows_per_step)

    # ---- step to documents ------------------------------------------------------------------------------------------

    def rows(self, step: int) -> list[RowPlace]:
        """The rows that step 1, 2, … reads."""
        if step < 1:
            raise SansiError(f'"step" is {step}; the first is 1', param="step")
        first = self.first_row + (step - 1) * self.rows_per_step
        return [self._place(number) for number in range(first, first + self.rows_per_step)]

    def documents(self, step: int) -> list[Read]:
        """What the rows of a step hold, padding left out."""
        found = []
        for row, place in enumerate(self.rows(step)):
            dataset = self.datasets[place.dataset]
            if isinstance(dataset, SampleDataset):
                found += _samples_of(row, place, dataset)
            else:
                for piece in dataset.pieces(place.index):
                    folder, document = self.folder_of(place.dataset, piece.document)
                    known = folder.known(document)
                    found.append(Read(row, folder.path, document, piece.begin, piece.length, place.epoch, known))
        return found

    def text(self, read: Read, most: int) -> str:
        """At most so many characters of what was read; "" of samples, whose tokenizer is not beside them."""
        if not (read.folder / MANIFEST_FILE).is_file():
            return ""
        folder = self.folder(read.folder)
        ids = folder.ids(read.document)[read.begin : read.begin + min(read.tokens, most)]
        text = folder.decode(ids.tolist())
        return text if len(text) <= most else f"{text[: most - 1]}…"

    def _place(self, number: int) -> RowPlace:
        drawn = self.mixture.shares.drawn(number) if self.mixture else Drawn(0, number)
        dataset = self.datasets[drawn.dataset]
        if isinstance(dataset, SampleDataset):
            epoch, place = dataset.epoch_of(drawn.row)
            return RowPlace(number, drawn.dataset, place, epoch)
        epoch, position = divmod(drawn.row, dataset.rows_per_epoch)
        return RowPlace(number, drawn.dataset, dataset.order(epoch)[position], epoch)

    def folder_of(self, dataset: int, document: int) -> tuple[PackedFolder, int]:
        """The folder of a document of a dataset, and its number there."""
        part = self.datasets[dataset]
        assert isinstance(part, PackedDataset)
        for path in part.paths:
            folder = self.folder(path)
            if document < folder.manifest.documents:
                return folder, document
            document -= folder.manifest.documents
        raise SansiError("ids that were in memory alone can not be looked up; train from a packed folder")

    def folder(self, path: Path) -> PackedFolder:
        if path not in self._folders:
            self._folders[path] = PackedFolder(path)
        return self._folders[path]

    # ---- document to steps ------------------------------------------------------------------------------------------

    @property
    def folders(self) -> list[tuple[int, int, PackedFolder]]:
        """The datasets' numbers, the first document and the folder, of all that were packed."""
        found = []
        for number, dataset in enumerate(self.datasets):
            first = 0
            for path in dataset.paths if isinstance(dataset, PackedDataset) else ():
                folder = self.folder(path)
                found.append((number, first, folder))
                first += folder.manifest.documents
        return found

    def seen(self, dataset: int, document: int, steps: int) -> list[Seen]:
        """The passes over a document of a dataset in the first `steps` steps."""
        part = self.datasets[dataset]
        assert isinstance(part, PackedDataset)
        rows, last = part.rows_of(document), self.first_row + steps * self.rows_per_step
        found = []
        for epoch in range(self._epochs(dataset, last)):
            numbers = [self._number(dataset, epoch * part.rows_per_epoch + part.order(epoch).place_of(r)) for r in rows]
            taken = sorted(
                {(n - self.first_row) // self.rows_per_step + 1 for n in numbers if self.first_row <= n < last}
            )
            if taken:
                found.append(Seen(taken[0], epoch, tuple(taken)))
        return found

    def _epochs(self, dataset: int, rows: int) -> int:
        """Epochs of a dataset that are begun in so many rows of the stream."""
        drawn = self.mixture.shares.counts(rows)[dataset] if self.mixture else rows
        return -(-drawn // self.datasets[dataset].rows_per_epoch)

    def _number(self, dataset: int, row: int) -> int:
        return self.mixture.shares.place_of(Drawn(dataset, row)) if self.mixture else row


def open_stream(record: DataRecord) -> RowStream:
    """The stream that a run read, at its beginning. Raises SansiError where the data is another, or not there."""
    stream = _opened(record.stream, record.rows_per_step)
    stream.load_state_dict(dict(record.beginning))
    return stream


def _opened(stream: Mapping[str, Any], rows: int) -> RowStream:
    kind = stream.get("kind")
    if kind == "mixture":
        parts = [_opened(part, rows) for part in stream["datasets"]]
        return Mixture(list(zip(parts, stream["weights"], strict=True)))
    if not stream.get("paths"):
        raise SansiError("its data was in memory, not in a folder")
    paths = [Path(path) for path in stream["paths"]]
    if kind == "samples":
        return SampleDataset(
            read_samples(paths[0]), stream["sequence_length"], rows, stream["seed"], too_long="drop", origin=paths[0]
        )
    return PackedDataset(
        paths,
        stream["sequence_length"],
        rows,
        stream["seed"],
        pad_id=stream["pad_id"],
        block_rows=stream["block_rows"],
    )


def _first_row(record: DataRecord, stream: RowStream) -> int:
    """The row of the stream that the run began with."""
    if isinstance(stream, SampleDataset):
        return stream.row_number(int(record.beginning["epoch"]), int(record.beginning["position"]))
    return int(record.beginning["row"])


def _samples_of(row: int, place: RowPlace, dataset: SampleDataset) -> list[Read]:
    folder = dataset.origin or Path()
    empty = dict.fromkeys(BRIEF)
    return [
        Read(row, folder, sample, 0, dataset.tokens_of(sample), place.epoch, empty | {"id": f"sample {sample}"})
        for sample in dataset.samples_of(place.epoch, place.index)
    ]
