"""Doubtful results that are tried again, each with the action that may mend it.

The action is that of the earlier result's record. The record of the new result lists all actions
that were taken, so that the next retry builds on them. A result that is no better is not kept, and
no action is left for its photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from segment2inpaint import mending
from segment2inpaint.dataset.manifest_rows import EditStep
from segment2inpaint.dataset.run_types import Json
from segment2inpaint.editor import is_available
from segment2inpaint.judgement import action_from_json
from segment2inpaint.result import Result
from segment2inpaint.types import Request


def is_mendable(record: Json) -> bool:
    """Return whether an action may mend the result that a record of the results log describes.

    An inpainter that is not on this machine cannot.
    """
    actions = [row["action"] for row in record["rows"] if row.get("action")]
    names = [action["inpainter"] for action in actions if action.get("inpainter")]
    return bool(actions) and all(map(is_available, names))


def mend_steps(steps: Sequence[EditStep], earlier: Json) -> list[EditStep]:
    """Return the steps of a photo with the actions of its earlier record."""
    actions = _actions_by_row(earlier)
    return [
        (_mended(request, actions.get((items[0].where, items[0].id), [])), items)
        for request, items in steps
    ]


def _mended(request: Request, actions: Sequence[Json]) -> Request:
    return reduce(lambda r, action: mending.apply(action_from_json(action), r), actions, request)


def _actions_by_row(earlier: Json) -> dict[tuple[str, str], list[Json]]:
    """Return the actions for each row, by its ``where`` and ``id``: those taken, then the next."""
    return {
        (row["where"], row["id"]): [
            *(row.get("actions") or ()),
            *([row["action"]] if row.get("action") else ()),
        ]
        for row in earlier["rows"]
    }


def with_actions(rows: Sequence[Json], earlier: Json) -> list[Json]:
    """Return the manifest rows of a better result, with all actions that were taken for it."""
    actions = _actions_by_row(earlier)
    return [{**row, "actions": actions.get((row["where"], row["id"]))} for row in rows]


def is_better(results: Sequence[Result], earlier: Json) -> bool:
    """Return whether new results of a photo's steps are better than those of a record.

    The worst step counts, by its verdict, then by its probability, rounded as records have it.
    """
    new = [
        _goodness(r.verdict, r.judgement.to_json()["probability"] if r.judgement else None)
        for r in results
    ]
    old = [
        _goodness(row["verdict"], row.get("probability"))
        for row in earlier["rows"]
        if row.get("verdict")
    ]
    return min(new) > min(old, default=(-1, 0.0))


def _goodness(verdict: str | None, probability: float | None) -> tuple[int, float]:
    order = ("failed", "doubtful", "clean")
    return order.index(verdict) if verdict in order else -1, probability or 0.0


def without_actions(earlier: Json) -> Json:
    """Return the earlier record, for which no action is left."""
    return {**earlier, "rows": [{**row, "action": None} for row in earlier["rows"]]}
