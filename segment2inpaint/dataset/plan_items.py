"""The items of a plan: their names, and their rows in its database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from segment2inpaint.dataset import request_json, spelling
from segment2inpaint.dataset.reading import describe
from segment2inpaint.dataset.run_types import EditItem, InvalidRow, PhotoJob

SourceRecord = EditItem | InvalidRow


def with_readable_names(record: SourceRecord) -> SourceRecord:
    """Return the record; an item whose files cannot be told from its request is invalid."""
    if isinstance(record, InvalidRow):
        return record
    try:
        input_names(record)
    except request_json.INVALID_VALUE_ERRORS as error:
        return InvalidRow(record.where, f"not a request: {describe(error)}")
    return record


def spelled_as_on_disk(item: EditItem, missing: set[str]) -> tuple[EditItem, set[str]]:
    """Return the item with the files that are there in another spelling, and those missing."""
    absent = missing.intersection(input_names(item))
    item = spelling.as_on_disk(item, absent)
    return item, absent.intersection(input_names(item))


def stored_item(photo: str, output: str, row: Sequence[Any]) -> EditItem:
    """Return the item that a row of the table ``items`` describes."""
    where, id, label, request, size, is_crowd = row
    photo_size = tuple(json.loads(size) or ()) or None
    data = json.loads(request) if request else None
    return EditItem(photo, output, data, where, id, label, photo_size, bool(is_crowd))


def input_names(item: EditItem) -> list[str]:
    return [item.photo, *request_json.referenced_files([item])]


def job_inputs(job: PhotoJob) -> list[str]:
    return [job.photo, *request_json.referenced_files(job.items)]
