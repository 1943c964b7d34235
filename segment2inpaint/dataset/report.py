"""``report.html``: one file that shows what came of a run; it loads nothing from elsewhere."""

from __future__ import annotations

import base64
import json
from collections import Counter
from importlib.resources import files
from math import log10

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.plan import SHOWN, RunPlan
from segment2inpaint.dataset.process_photo import thumb_name
from segment2inpaint.dataset.run_types import FAILED_STATUSES, Json
from segment2inpaint.errors import BadImage

BINS = 20
ERROR = "error"  # of a photo with the status failed: a verdict may be failed too
ORDER = {"quarantined": 0, ERROR: 1, "partial": 2, "failed": 3, "doubtful": 4, "clean": 5}


def write(plan: RunPlan) -> None:
    """Write the report of what is finished: counts and histograms of all, pictures of some."""
    tally = _ReportSummary()
    for record in plan.records():
        tally.add(record)
    shown = sorted(
        tally.shown, key=lambda one: (ORDER.get(one["verdict"], len(ORDER)), one["output"])
    )
    cards = [_card(one, plan) for one in shown[:SHOWN]]
    data = {**tally.summary(), "planned": plan.counts().photos, "cards": cards}
    page = files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    # a name may hold </script>, which would end the block that it is in
    text = json.dumps(data).replace("<", "\\u003c")
    storage.write(
        storage.join(plan.settings.out, "report.html"), page.replace("/*DATA*/", text).encode()
    )


class _ReportSummary:
    """Counts over all photos, and the short form of those that may be shown."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.scores: dict[str, list[int]] = {}
        self.times: Counter[int] = Counter()
        self.shown: list[Json] = []

    def add(self, record: Json) -> None:
        self.statuses[record["status"]] += 1
        if record["status"] == "copied" and not record["error"]:
            return
        verdict = _verdict(record)
        self.verdicts[verdict] += 1
        if record["seconds"]:
            self.times[_decade(record["seconds"])] += 1
        for row in record["rows"]:
            for name, score in (row.get("checks") or {}).items():
                bins = self.scores.setdefault(name, [0] * BINS)
                bins[min(BINS - 1, int(score * BINS))] += 1
        self.shown.append(_short(record, verdict))
        if len(self.shown) > 4 * SHOWN:
            self.shown.sort(key=lambda one: (ORDER.get(one["verdict"], len(ORDER)), one["output"]))
            del self.shown[SHOWN:]

    def summary(self) -> Json:
        return {
            "statuses": dict(sorted(self.statuses.items())),
            "verdicts": dict(sorted(self.verdicts.items())),
            "scores": dict(sorted(self.scores.items())),
            "times": sorted(self.times.items()),
        }


def _verdict(record: Json) -> str:
    """The verdict on what was done, or else why there is none."""
    status: str = record["status"]
    if status in FAILED_STATUSES:
        return ERROR if status == "failed" else status
    return record["verdict"] or status


def _short(record: Json, verdict: str) -> Json:
    rows = record["rows"]
    return {
        "output": record["output"], "photo": record["photo"], "verdict": verdict,
        "error": record["error"], "seconds": record["seconds"],
        "objects": [row["label"] or row["id"] for row in rows][:20],
        "checks": (rows[0].get("checks") if rows else None) or {},
        "by": f"{rows[0].get('detector') or ''} {rows[0].get('inpainter') or ''}".strip()
        if rows else "",
    }  # fmt: skip


def _card(short: Json, plan: RunPlan) -> Json:
    return {**short, "picture": _picture(thumb_name(short["output"], plan.settings))}


def _picture(name: str) -> str:
    if storage.size(name) < 0:
        return ""
    try:
        return "data:image/jpeg;base64," + base64.b64encode(storage.read(name)).decode()
    except BadImage:
        return ""


def _decade(seconds: float) -> int:
    """Bins of times, five to a factor of ten."""
    return int(5 * log10(max(seconds, 1e-3)) // 1)
