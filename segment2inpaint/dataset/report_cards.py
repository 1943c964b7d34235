"""Describe one photo in the report: a caption in sentences, links, and the cells of a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.names import printable
from segment2inpaint.dataset.run_types import Json

COLUMNS = ("file", "objects", "verdict", "reason", "probability", "seconds")


def links(record: Json, out: str) -> dict[str, str]:
    """Return addresses of the photo, the result and the mask, relative to the report.

    Photos in archives, tables and stores other than web servers have none.
    """
    found = {"photo": _photo_address(record["photo"], out)}
    if record["written"]:
        masks = [row["mask"] for row in record["rows"] if row.get("mask")]
        if record["output"] in record["written"]:  # a run over masks has no result
            found["result"] = relative_address(record["output"])
        found["mask"] = relative_address(masks[0]) if masks else ""
    return {name: address for name, address in found.items() if address}


def _photo_address(photo: str, out: str) -> str:
    if storage.containing_file(photo) != photo:
        return ""
    if storage.is_remote(photo):
        return photo if photo.startswith(("http://", "https://")) else ""
    return "" if storage.is_remote(out) else relative_address(os.path.relpath(photo, out))


def relative_address(name: str) -> str:
    """Return a path as an address; ``./`` keeps a colon in it from being read as a scheme."""
    return "./" + quote(os.fsencode(name.replace(os.sep, "/")))


def caption(record: Json) -> str:
    """Return what was done with a photo, and what the checks say, in sentences."""
    rows = record["rows"]
    row = next((row for row in rows if row.get("detector")), None)
    sentences = []
    if row:
        seconds = f" in {record['seconds']:.2f} s" if record["seconds"] else ""
        sentences.append(f"{_deed(rows, row)}{seconds}.")
        if row.get("inpainter"):
            sentences.extend(_judgement_sentences(rows))
    elif rows:
        sentences.append(f"{_objects(rows)[:1].upper()}{_objects(rows)[1:]} could not be edited.")
    if record["error"]:
        sentences.append(_sentence(record["error"]))
    if note := next((row["note"] for row in rows if row.get("note")), ""):
        sentences.append(_sentence(note))
    return printable(" ".join(filter(None, sentences)))


def _deed(rows: Sequence[Json], row: Json) -> str:
    fill = (row["request"] or {}).get("fill", {})
    found = f"found by {row['detector']}"
    if not row.get("inpainter"):
        return f"{_objects(rows)[:1].upper()}{_objects(rows)[1:]} {found}"
    verb = "Replaced" if fill.get("prompt") or fill.get("picture") else "Removed"
    return f"{verb} {_objects(rows)}, {found} and painted over by {row['inpainter']}"


def _objects(rows: Sequence[Json]) -> str:
    """Return the names of the objects, such as ``a dog and a cat``; else their number."""
    names = list(dict.fromkeys(row["label"] or row["id"] for row in rows))
    if not any(names) or len(names) < len(rows):
        counted = "the object" if len(rows) == 1 else f"{len(rows)} objects"
        named = [name for name in names if name]
        return f"{counted} ({', '.join(named)})" if named else counted
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _judgement_sentences(rows: Sequence[Json]) -> list[str]:
    """Return what the checks say of the worst of a photo's results, and what may mend it."""
    row = worst_row(rows)
    if not row.get("verdict"):
        return ["The result was not checked."]
    said = [_sentence(row.get("sentence") or f"the verdict is {row['verdict']}")]
    if action := row.get("action"):
        said.append(f"Try: {action['sentence']} ({action['options']}).")
    return said


def worst_row(rows: Sequence[Json]) -> Json:
    """Return the row whose result a person would accept least, an empty one without rows."""
    known = [row for row in rows if row.get("probability") is not None]
    verified = [row for row in rows if row.get("verdict")]
    return (
        min(known, key=lambda row: float(row["probability"]))
        if known
        else (verified[0] if verified else {})
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def cells(record: Json, verdict: str) -> list[Any]:
    """Return the values of ``COLUMNS`` for a photo."""
    rows = record["rows"]
    worst = worst_row(rows)
    names = ", ".join(dict.fromkeys(row["label"] or row["id"] for row in rows))
    return [
        printable(record["output"]), printable(names) or None, verdict, worst.get("reason"),
        worst.get("probability"), record["seconds"] or None,
    ]  # fmt: skip
