"""``models recommend``: the best model that this machine can run, and a lighter one."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import cloup

from segment2inpaint.cli.options import examples

if TYPE_CHECKING:
    from segment2inpaint.models.machine import Machine
    from segment2inpaint.models.recommendation import Recommendation, Suggestion

TASKS = ("detect", "remove", "replace")
LABEL_WIDTH = 20  # characters of the first column
NOTHING = {
    "replace": "no model that paints a prompt fits; fill with a picture: --with",
}


@cloup.command(epilog=examples("models recommend", "models recommend --task replace"))
@click.option("--task", type=click.Choice(TASKS), help="Only for this task.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recommend(task: str | None, as_json: bool) -> None:
    """Recommend models for this machine.

    For each task it names the best model that fits into the memory, and a lighter one, and what
    to run first if it is not here. Only models whose licence allows commercial use are named.
    Nothing is downloaded.
    """
    from segment2inpaint.models import machine, recommendation

    resources = machine.this_machine()
    tasks = (task,) if task else TASKS
    found = [recommendation.recommend(name, resources) for name in tasks]
    if as_json:
        click.echo(json.dumps(_to_json(resources, found)))
        return
    click.echo(f"{'this machine':<{LABEL_WIDTH}}{_describe(resources)}")
    for item in found:
        _print_recommendation(item)


def _describe(machine: Machine) -> str:
    from segment2inpaint.models.catalogue import format_size

    own = "" if machine.device == "cpu" else f"{format_size(machine.memory)} free, "
    ram, disk = format_size(machine.ram), format_size(machine.disk)
    return f"{machine.device}: {own}{ram} of free RAM, {disk} of free disk"


def _print_recommendation(item: Recommendation) -> None:
    if item.best is None:
        click.echo(f"{item.task:<{LABEL_WIDTH}}{NOTHING[item.task]}")
    for label, suggestion in (("best", item.best), ("lighter", item.lighter)):
        if suggestion:
            _print_suggestion(f"{item.task}, {label}", suggestion)


def _print_suggestion(label: str, suggestion: Suggestion) -> None:
    here = "here: " if suggestion.here else ""
    click.echo(f"{label:<{LABEL_WIDTH}}{suggestion.name} ({here}{suggestion.reason})")
    for command in suggestion.commands:
        click.echo(f"{'':<{LABEL_WIDTH}}$ {command}")


def _to_json(machine: Machine, found: list[Recommendation]) -> dict[str, object]:
    resources = asdict(machine) | {"extras": sorted(machine.extras)}
    return {
        "machine": resources,
        "recommendations": [
            {
                "task": item.task,
                "best": asdict(item.best) if item.best else None,
                "lighter": asdict(item.lighter) if item.lighter else None,
            }
            for item in found
        ],
    }
