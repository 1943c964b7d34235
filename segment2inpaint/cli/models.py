"""The catalogue on the command line: list, show, download."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segment2inpaint.cli import console
from segment2inpaint.cli.options import file

if TYPE_CHECKING:
    from collections.abc import Collection

    from segment2inpaint.models.catalogue import ModelCard
    from segment2inpaint.types import Fill


@click.group()
def models() -> None:
    """The models in the catalogue, and those on this machine."""


@models.command("list")
def list_models() -> None:
    """Every model in the catalogue, with its size, and * where it is on this machine."""
    from segment2inpaint.models import catalogue

    for card in catalogue.cards():
        here = "*" if catalogue.find(card.name) else " "
        size = catalogue.megabytes(card.size)
        click.echo(
            f"{here} {card.name:<21}{card.kind:<11}{size:>8}  {card.licence:<31}{card.title}"
        )


@models.command()
@click.argument("name")
def show(name: str) -> None:
    """All that the catalogue knows of a model."""
    from segment2inpaint.models import catalogue

    card = catalogue.card(name)
    rows = {
        "name": card.name,
        "what": card.title,
        **({"kind": card.kind} if card.kind else {}),
        "licence": card.licence + (", to be accepted on its page first" if card.gated else ""),
        "page": card.page,
        "download": f"{_size(card)}, checked by {card.verified}",
        **({"memory": f"about {catalogue.megabytes(card.memory)}"} if card.memory else {}),
        **({"needs": card.needs} if card.needs else {}),
        "revision": card.revision,
        "here": catalogue.find(name) or f"no; {catalogue.download_command(name)}",
        **_values(card.fill, ""),
        **_values(card.remove, " (remove)"),
    }
    for key, value in rows.items():
        click.echo(f"{key:<26}{value}")


def _size(card: ModelCard) -> str:
    from segment2inpaint.models import catalogue

    return catalogue.megabytes(card.size) if card.size else "of unknown size"


def _values(fill: Fill, when: str) -> dict[str, object]:
    """What differs from a ``Fill`` that says nothing."""
    plain = type(fill)()
    named = ((f.name, getattr(fill, f.name)) for f in dataclasses.fields(fill))
    return {f"{name}{when}": v for name, v in named if v != getattr(plain, name)}


@models.command()
@click.argument("name")
@click.option("--cache-dir", type=file, metavar="FOLDER",
              help="Where to keep it.  [default: HF_HUB_CACHE, or Hugging Face's]")  # fmt: skip
def download(name: str, cache_dir: Path | None) -> None:
    """Fetch a model and what it needs, tell its licence, and check what came.

    NAME may also be a model in one .safetensors file (FILE, or FILE@MODEL): then only what the
    file lacks is fetched, of a model of its family, or of MODEL.

    HF_ENDPOINT names a mirror of the hub. What was cut short is gone on with; a model in
    another FOLDER is found again with HF_HUB_CACHE=FOLDER, or named by its path.
    """
    from segment2inpaint.models import catalogue
    from segment2inpaint.models.download import download as fetch

    card, without = _wanted(name)
    for part in [*map(catalogue.card, filter(None, [card.needs])), card]:
        size = _size(part)
        memory = f", takes about {catalogue.megabytes(part.memory)}" if part.memory else ""
        what = "" if without else f"{size}{memory}, "
        click.echo(f"{part.title}: {what}licence {part.licence}, from {part.repo}", err=True)
        with console.ProgressReporter() as meter:
            path = fetch(part, meter, without=without, hub_cache=cache_dir)
        click.echo(path)


def _wanted(name: str) -> tuple[ModelCard, Collection[str]]:
    """The card of a name, or the one that lends a file what it lacks; folders left out."""
    from segment2inpaint import inpaint
    from segment2inpaint.models import catalogue

    model, base, _ = inpaint.split(name)
    if not Path(model).is_file():
        return catalogue.card(name), ()
    from segment2inpaint.inpaint.diffusion.inspection import read
    from segment2inpaint.inpaint.diffusion.single_file import to_fetch

    return to_fetch(read(Path(model)), base)
