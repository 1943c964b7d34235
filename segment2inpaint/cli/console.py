"""What the command line tells: progress on stderr, the result as JSON or as one line."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

from segment2inpaint import __version__

if TYPE_CHECKING:
    from segment2inpaint.images import Photo
    from segment2inpaint.types import Alpha, Check, Detection, Request, Result

FAILED, SOME_FAILED, NOTHING_FOUND, INTERRUPTED = 1, 3, 4, 130  # exit statuses
PATIENCE = 1.0  # s before anything is said


class ProgressReporter:
    """Progress on standard error, once a run has lasted a second.

    A line that is written over on a terminal; elsewhere a plain line after three seconds where
    the stage has changed, after ten in any case.
    """

    def __init__(self) -> None:
        self.start = self.last = monotonic()
        self.stage = ""
        self.live = sys.stderr.isatty()
        self.shown = False

    def __call__(self, stage: str, share: float) -> None:
        now = monotonic()
        if now - self.start < PATIENCE:
            return
        if self.live and (now - self.last > 0.1 or stage != self.stage):
            self._say(f"\r\033[K{stage} {share:4.0%}  {now - self.start:.0f} s", "")
        elif not self.live and now - self.last > (10 if stage == self.stage else 3):
            self._say(f"{stage} {share:.0%} after {now - self.start:.0f} s", "\n")
        else:
            return
        self.stage, self.last, self.shown = stage, now, True

    def __enter__(self) -> ProgressReporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live and self.shown:
            self._say("\r\033[K", "")

    def _say(self, text: str, end: str) -> None:
        sys.stderr.write(text + end)
        sys.stderr.flush()


@contextmanager
def warnings_in_a_line() -> Iterator[None]:
    """What a library or a backend warns of, in one line each on standard error."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        sys.stderr.write(f"note: {message}\n")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def escape_line(text: str) -> str:
    """A text in one line: names may hold line breaks and a terminal's commands, here escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def forget_output() -> None:
    """What standard output still holds goes nowhere: where it is full, Python would complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report(photo: Photo, output: str, request: Request, result: Result) -> dict[str, Any]:
    """A result as JSON data, arrays left out."""
    return {
        **mask_report(photo, output, request, result.detections),
        "settings": dict(result.settings),
        "changed": int((result.alpha > 0).sum()),
        "changed_outside": result.changed_outside,
        "verdict": result.verdict,
        "checks": [
            {
                "name": check.name,
                "score": round(check.score, 3),
                "threshold": check.threshold,
                "failed": check.failed,
                "sentence": check.sentence,
            }
            for check in result.checks
        ],
        "attempts": [dict(attempt) for attempt in result.attempts],
        "seconds": dict(result.seconds),
    }


def mask_report(
    photo: Photo, output: str, request: Request, found: Sequence[Detection]
) -> dict[str, Any]:
    """What was found, as JSON data."""
    from segment2inpaint.request import to_json
    from segment2inpaint.types import bounding_box

    return {
        "version": __version__,
        "photo": photo.name,
        "size": {"width": photo.size[1], "height": photo.size[0]},
        "output": output,
        "request": to_json(request),
        "masks": [
            {
                "number": number,
                "box": list(bounding_box(m.mask)),
                "area": int(m.mask.sum()),
                "score": round(m.score, 4),
            }
            for number, m in enumerate(found, 1)
        ],
    }


def summary(output: str, result: Result) -> str:
    """The result in one line."""
    used = f"{result.settings['detector']} + {result.settings['inpainter']}"
    share = (result.alpha > 0).mean()
    return (
        f"{output}: {_objects(result.detections)}, {share:.1%} of the photo repainted, "
        f"{result.changed_outside} pixels changed outside ({used}, "
        f"{sum(result.seconds.values()):.1f} s){_judged(result)}"
    )


def mask_summary(output: str, found: Sequence[Detection], alpha: Alpha, detector: str) -> str:
    """What was found, in one line."""
    return f"{output}: {_objects(found)}, {(alpha > 0).mean():.1%} of the photo ({detector})"


def _objects(found: Sequence[Detection]) -> str:
    return f"{len(found)} object{'s' * (len(found) != 1)}"


def _judged(result: Result) -> str:
    """The verdict with the reasons for it; nothing if there is none."""
    if not result.verdict:
        return ""
    tries = max((int(one["attempt"]) for one in result.attempts), default=1)
    after = f" after {tries} attempts" if tries > 1 else ""
    return f"; {result.verdict}{after}{_reasons(result.checks)}"


def _reasons(checks: Sequence[Check]) -> str:
    """What failed, or else is in doubt, worst first."""
    bad = sorted((c for c in checks if c.doubtful), key=lambda c: -c.score)
    if any(check.failed for check in bad):
        bad = [check for check in bad if check.failed]
    return ": " + "; ".join(check.sentence for check in bad) if bad else ""


def candidates(result: Result, files: Mapping[int, str]) -> list[dict[str, Any]]:
    """Each candidate as JSON data, the best first; ``files`` by rank where they were kept."""
    return [
        {
            "rank": rank,
            "output": files.get(rank),
            "seed": one.settings["seed"],
            "inpainter": one.settings["inpainter"],
            "verdict": one.verdict,
            "scores": {check.name: round(check.score, 3) for check in one.checks},
        }
        for rank, one in enumerate(result.candidates, 1)
    ]


def ranking(result: Result, files: Mapping[int, str]) -> Iterator[str]:
    """A line for each of several candidates, the best first, and why it is where it is."""
    if len(result.candidates) < 2:
        return
    for rank, one in enumerate(result.candidates, 1):
        used = f"{one.settings['inpainter']}, seed {one.settings['seed']}"
        judged = f"{one.verdict or 'not verified'}{_reasons(one.checks)}"
        yield f"{rank}  {files.get(rank, 'not kept')} ({used}): {judged}"
