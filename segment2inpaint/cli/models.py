"""``models``: list, show, recommend and download the models of the catalogue."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click
import cloup

from segment2inpaint.cli import console, model_facts
from segment2inpaint.cli.options import examples
from segment2inpaint.cli.param_types import FILE, complete_model
from segment2inpaint.cli.recommend import recommend

if TYPE_CHECKING:
    from segment2inpaint.models.catalogue import ModelCard
    from segment2inpaint.models.machine import Machine
    from segment2inpaint.types import Fill

LABEL_WIDTH = 26  # characters of the first column of `show`


@cloup.group(epilog=examples("models list", "models recommend", "models download sam2.1-tiny"))
def models() -> None:
    """List, compare, recommend and download models.

    The package works without any of them; a model improves results or is needed for text.
    """


@cloup.command("list", epilog=examples("models list"))
def list_models() -> None:
    """List all models of the catalogue; * marks those on this machine.

    Other pipelines in the Hugging Face cache follow, by their hub ids.
    """
    from segment2inpaint.models import catalogue

    for card in catalogue.cards():
        mark = "*" if catalogue.find(card.name) else " "
        size = catalogue.format_size(card.size)
        click.echo(
            f"{mark} {card.name:<21}{card.kind:<11}{size:>8}  {card.licence:<31}{card.title}"
        )
    for name in catalogue.uncatalogued_pipelines():
        click.echo(f"* {name:<32}{catalogue.card(name).licence}; in the Hugging Face cache")


@cloup.command(epilog=examples("models show sd15-inpaint", "models show sam2.1-tiny edgetam"))
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_model)
def show(names: tuple[str, ...]) -> None:
    """Show what a model is chosen by, its licence and its defaults, or compare several.

    Quality is as its authors published it, for a figure that was published. Seconds are published
    or measured. The memory is that on this machine, beside its free memory.
    """
    from segment2inpaint.models import catalogue
    from segment2inpaint.models.machine import this_machine

    cards = [catalogue.card(name) for name in names]
    if len(cards) > 1:
        for line in model_facts.table(cards, this_machine()):
            click.echo(line)
        return
    for label, value in _rows(cards[0], this_machine()).items():
        click.echo(f"{label:<{LABEL_WIDTH}}{value}")


def _rows(card: ModelCard, machine: Machine) -> dict[str, object]:
    """Return the rows that describe a model."""
    from segment2inpaint.models import catalogue

    return {
        "name": card.name,
        "what": card.title,
        **({"kind": card.kind} if card.kind else {}),
        **model_facts.facts(card, machine),
        "page": card.page,
        "download": f"{_size(card)}, checked by {card.checksum_source}",
        **({"needs": card.needs} if card.needs else {}),
        "revision": card.revision,
        "checked": card.checked or "no; some facts of this card could not be confirmed",
        "here": catalogue.find(card.name) or f"no; {catalogue.setup_command(card.name)}",
        **_set_values(card.fill, ""),
        **_set_values(card.remove, " (remove)"),
    }


@cloup.command(epilog=examples("models download sam2.1-tiny", "models download lama"))
@click.argument("name", shell_complete=complete_model)
@click.option("--cache-dir", type=FILE, metavar="FOLDER",
              help="Folder to store the model in.  [default: HF_HUB_CACHE, or Hugging Face's "
                   "folder]")  # fmt: skip
def download(name: str, cache_dir: Path | None) -> None:
    """Download a model and verify its files.

    A model that it needs is downloaded too. NAME is a model of the catalogue, a Hugging Face id,
    or a model in one .safetensors file (FILE, or FILE@MODEL). For a file, only the parts that it
    lacks are downloaded, from the catalogue's model of its family or from MODEL.

    HF_ENDPOINT sets a mirror of the hub. An interrupted download resumes where it stopped. To use
    a model in another FOLDER, set HF_HUB_CACHE=FOLDER or give its path as the name.
    """
    from segment2inpaint import extras
    from segment2inpaint.models import catalogue
    from segment2inpaint.models.download import download as fetch

    extras.require("models", f"models download {name}")
    card, skip_weights_in = _model_to_download(name)
    for part in [*map(catalogue.card, filter(None, [card.needs])), card]:
        memory = f", takes about {catalogue.format_size(part.memory)}" if part.memory else ""
        size = "" if skip_weights_in else f"{_size(part)}{memory}, "
        click.echo(f"{part.title}: {size}licence {part.licence}, from {part.repo}", err=True)
        with console.ProgressReporter() as reporter:
            path = fetch(part, reporter, skip_weights_in=skip_weights_in, hub_cache=cache_dir)
        click.echo(path)


models.section("Commands", list_models, show, recommend, download)


def _size(card: ModelCard) -> str:
    from segment2inpaint.models import catalogue

    return catalogue.format_size(card.size) if card.size else "of unknown size"


def _set_values(fill: Fill, suffix: str) -> dict[str, object]:
    """Return the values of a ``Fill`` that differ from the defaults, by name and suffix."""
    defaults = type(fill)()
    values = {field.name: getattr(fill, field.name) for field in fields(fill)}
    return {f"{n}{suffix}": v for n, v in values.items() if v != getattr(defaults, n)}


def _model_to_download(name: str) -> tuple[ModelCard, Collection[str]]:
    """Return the card of a model, and the folders whose weights are not needed.

    For a model in one file, that is the card of the model that has the parts it lacks.
    """
    from segment2inpaint import inpaint
    from segment2inpaint.models import catalogue

    model, base, _ = inpaint.split_name(name)
    if not Path(model).is_file():
        return catalogue.card(name), ()
    from segment2inpaint.inpaint.diffusion.inspection import inspect_file
    from segment2inpaint.inpaint.diffusion.single_file import base_to_download

    return base_to_download(inspect_file(Path(model)), base)
