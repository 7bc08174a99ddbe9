"""`sansi publish`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.progress import status
from sansi.base.sizes import size_text
from sansi.base.words import count
from sansi.cli.options import AsJson
from sansi.cli.usage import CommandLineError, command_line

if TYPE_CHECKING:
    from sansi.deploy.publish import Publication

TITLES = {"huggingface": "Hugging Face", "modelscope": "ModelScope", "kaggle": "Kaggle"}
MOST_LEFT = 8  # files that are named of those that stay behind

Source = Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, an adapter's, or a GGUF file.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="OWNER/NAME; on Kaggle OWNER/MODEL/FRAMEWORK/VARIATION.")]
To = Annotated[str, typer.Option("--to", help="huggingface, modelscope or kaggle.")]
Send = Annotated[bool, typer.Option("--upload", "--yes", "-y", help="Upload; without it what would go up is told.")]
Card = Annotated[
    str | None,
    typer.Option(help="The card that goes up as README.md; made there if there is none. Default: the folder's."),
]
Licence = Annotated[str | None, typer.Option("--license", help="As hubs spell it: apache-2.0, mit. Default: as known.")]
Base = Annotated[str | None, typer.Option("--base-model", help="OWNER/NAME of what it was made of. Default: as known.")]
Relation = Annotated[str | None, typer.Option(help="To the base: quantized, finetune, adapter or merge.")]
Language = Annotated[list[str] | None, typer.Option("--language", help="ISO 639 code; may be given several times.")]
Evaluation = Annotated[
    str | None, typer.Option(metavar="FILE", help="Results for the card's table. Default: its evaluation.json.")
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="Files that stay behind; may be repeated.")
]
Private = Annotated[bool, typer.Option("--private", help="Make a new repository that only you see.")]
Update = Annotated[bool, typer.Option("--update", help="Go over a model that is there already.")]
Message = Annotated[str, typer.Option("--message", help="Of the commit, or of the version.")]


def publish(
    model: Source,
    name: Name,
    to: To,
    send: Send = False,
    card: Card = None,
    licence: Licence = None,
    base_model: Base = None,
    relation: Relation = None,
    language: Language = None,
    evaluation: Evaluation = None,
    exclude: Exclude = None,
    private: Private = False,
    update: Update = False,
    message: Message = "Published by Sansi",
    as_json: AsJson = False,
) -> None:
    """Check a model, write its card, and upload it to a hub. Nothing goes up without --upload.

    Checked without a network: every file whole and the index against its shards, configuration, tokenizer and template,
    digests of the export's receipt, no pickles, no keys, the hub's size limits. A card (README.md) that is there goes
    up as it is; else one is made: licence, base model, format, evaluation, receipt, and how to run it.

    Examples:

      sansi publish my-model me/my-model --to huggingface

      sansi publish my-model me/my-model --to huggingface --license apache-2.0 --base-model Qwen/Qwen3-8B --upload

      sansi publish model-Q4_K_M.gguf me/my-model-GGUF --to modelscope --card card.md

      sansi publish my-model me/my-model/transformers/fp8 --to kaggle --upload

    An upload that broke off is gone on with by the same command. Exit code 1 where something has to be put right.
    """
    from sansi.deploy.publish import CardChoices, check_name, open_destination, prepare, upload

    if to not in TITLES:
        raise CommandLineError(f'--to "{to}" is no hub{did_you_mean(to, TITLES)}', param="to")
    _check_visible(to, private)
    with command_line():
        check_name(to, name)
    destination = open_destination(to) if send else None  # before the wait: its client may be missing
    choices = CardChoices(_path(card), licence, base_model, relation, tuple(language or ()), _path(evaluation))
    with status(f"checking {model}"):
        publication = prepare(Path(model).expanduser(), to, name, choices, exclude or [])
    if as_json and not send:
        typer.echo(json.dumps(publication.to_dict(), indent=2, ensure_ascii=False))
    elif not as_json:
        _tell(publication)
    if publication.blocked:
        if send:
            raise SansiError("nothing was uploaded: put right what is told above")
        raise typer.Exit(1)
    if destination is None:
        return _tell_how(as_json)
    address = upload(publication, destination, private, update, message)
    typer.echo(json.dumps({**publication.to_dict(), "url": address}) if as_json else f"{name} is at {address}")


def _check_visible(to: str, private: bool) -> None:
    if private and to == "kaggle":
        raise CommandLineError("--private: a new model on Kaggle is private until you open it there; leave it out")


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _tell_how(as_json: bool) -> None:
    if not as_json:
        typer.echo("Nothing was uploaded; --upload does it.")


def _tell(publication: Publication) -> None:
    """The table of what would go up, what stays behind, and what is wrong."""
    facts = publication.to_dict()
    typer.secho(f"{publication.name} on {TITLES[publication.hub]}", bold=True)
    width = max(len(entry["name"]) for entry in facts["files"])
    for entry in facts["files"]:
        origin = f"  {typer.style(entry['from'], dim=True)}" if "from" in entry else ""
        typer.echo(f"  {entry['name']:<{width}}  {size_text(entry['bytes']):>10}{origin}")
    typer.echo(f"  {count(len(facts['files']), 'file')}, {size_text(facts['bytes'])}; {_summary(publication)}")
    for left in facts["left_out"][:MOST_LEFT]:
        typer.secho(f"  stays here: {left['name']} ({left['why']})", dim=True)
    if (more := len(facts["left_out"]) - MOST_LEFT) > 0:
        typer.secho(f"  … and {more} more", dim=True)
    for finding in publication.findings:
        mark = typer.style("wrong" if finding.blocks else "note ", fg="red" if finding.blocks else "yellow")
        typer.echo(f"  {mark}  {finding}")


def _summary(publication: Publication) -> str:
    origin = publication.origin
    base = f", of {origin.base_model}" if origin.base_model else ""
    return f"{origin.format}{base}, licence {origin.licence or 'unknown'}"
