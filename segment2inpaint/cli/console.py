"""Print progress, one-line summaries, and results as JSON."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from segment2inpaint import __version__

if TYPE_CHECKING:
    from segment2inpaint.images import FileChanges, Photo
    from segment2inpaint.judgement import Check, Judgement
    from segment2inpaint.result import Result
    from segment2inpaint.types import Alpha, Detection, Request

FAILED, SOME_FAILED, NOTHING_FOUND, INTERRUPTED = 1, 3, 4, 130  # exit statuses
DOWNLOAD = "segment2inpaint models download"  # in a hint about a model that would do better
FIRST_REPORT_AFTER = 1.0  # s of work before any progress is shown; short runs stay silent
TERMINAL_INTERVAL = 0.1  # s between two updates of the line on a terminal
STAGE_INTERVAL = 3.0  # s between two lines elsewhere when the stage has changed
LINE_INTERVAL = 10.0  # s between two lines elsewhere in one stage
UPDATE_INTERVAL = 0.5  # s between two updates during a stage that reports nothing itself


class ProgressReporter:
    """Report the progress of a run on standard error.

    It is a ``ProgressCallback``: call it with the stage and the progress in [0, 1]. On a terminal
    it updates one line, elsewhere it prints a new line every few seconds. In a ``with`` statement
    it goes on reporting a stage that is silent, such as the loading of a model.
    """

    def __init__(self) -> None:
        self._start = self._last_report = monotonic()
        self._stage = ""
        self._latest = ("", 0.0)
        self._on_terminal = sys.stderr.isatty()
        self._has_reported = False
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def __call__(self, stage: str, progress: float) -> None:
        now = monotonic()
        with self._lock:
            self._latest = stage, progress
            if now - self._start < FIRST_REPORT_AFTER or not self._is_due(stage, now):
                return
            done = f"{stage} {progress:.0%}" if progress > 0 else stage
            if self._on_terminal:
                _write_stderr(f"\r\033[K{done}  {now - self._start:.0f} s")
            else:
                _write_stderr(f"{done} after {now - self._start:.0f} s\n")
            self._stage, self._last_report, self._has_reported = stage, now, True

    def _repeat(self) -> None:
        """Repeat the latest report, with new seconds, until the end."""
        while not self._ended.wait(UPDATE_INTERVAL):
            if self._latest[0]:
                self(*self._latest)

    def __enter__(self) -> ProgressReporter:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop reporting, and clear the line on a terminal."""
        self._ended.set()
        self._thread.join()
        if self._on_terminal and self._has_reported:
            _write_stderr("\r\033[K")

    def _is_due(self, stage: str, now: float) -> bool:
        """Return whether enough time has passed since the last report."""
        elapsed, same_stage = now - self._last_report, stage == self._stage
        if self._on_terminal:
            return elapsed > TERMINAL_INTERVAL or not same_stage
        return elapsed > (LINE_INTERVAL if same_stage else STAGE_INTERVAL)


def _write_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Print each warning of a library as one line on standard error."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        sys.stderr.write(f"note: {message}\n")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def escape_line(text: str) -> str:
    """Return the text as one line, with line breaks and terminal control codes escaped.

    File names may hold both.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def discard_stdout() -> None:
    """Discard what standard output has buffered: when it cannot be written, Python complains."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --- JSON -------------------------------------------------------------------------------------


def result_to_json(photo: Photo, output: str, request: Request, result: Result) -> dict[str, Any]:
    """Return a result as JSON data, without its arrays."""
    return {
        **mask_to_json(photo, output, request, result.detections),
        "settings": dict(result.settings),
        "changed": int((result.alpha > 0).sum()),
        "changed_outside": result.changed_outside,
        **judgement_to_json(result.judgement),
        "action": result.action and result.action.to_json(),
        "checks": [check_to_json(check) for check in result.checks],
        "attempts": [dict(attempt) for attempt in result.attempts],
        "seconds": dict(result.seconds),
    }


def judgement_to_json(judgement: Judgement | None) -> dict[str, Any]:
    """Return a judgement as JSON data; its values are null if nothing was verified."""
    names = ("verdict", "probability", "reason", "place", "sentence")
    return judgement.to_json() if judgement else dict.fromkeys(names)


def check_to_json(check: Check) -> dict[str, Any]:
    """Return a check as JSON data, without its pictures."""
    return {
        "name": check.name,
        "score": round(check.score, 3),
        "threshold": check.threshold,
        "failed": check.failed,
        "sentence": check.sentence,
    }


def mask_to_json(
    photo: Photo, output: str, request: Request, detections: Sequence[Detection]
) -> dict[str, Any]:
    """Return the objects that were found as JSON data, without their arrays."""
    from segment2inpaint.request import to_json

    return {
        "version": __version__,
        "photo": photo.name,
        "size": {"width": photo.size[1], "height": photo.size[0]},
        "output": output,
        "request": to_json(request),
        "masks": [
            _detection_to_json(number, detection) for number, detection in enumerate(detections, 1)
        ],
    }


def _detection_to_json(number: int, detection: Detection) -> dict[str, Any]:
    from segment2inpaint.types import bounding_box

    return {
        "number": number,
        "box": list(bounding_box(detection.mask)),
        "area": int(detection.mask.sum()),
        "score": round(detection.score, 4),
    }


def candidates_to_json(result: Result, files: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return the candidates as JSON data, best first; ``files`` maps ranks to written files."""
    return [
        {
            "rank": rank,
            "output": files.get(rank),
            "seed": candidate.settings["seed"],
            "inpainter": candidate.settings["inpainter"],
            **judgement_to_json(candidate.judgement),
            "scores": {check.name: round(check.score, 3) for check in candidate.checks},
        }
        for rank, candidate in enumerate(result.candidates, 1)
    ]


def print_message_once() -> Callable[[str], None]:
    """Return a function that prints a line on standard error, unless it did so before.

    A hint about a model to download is printed once on this machine, other lines once in a run.
    """
    printed: set[str] = set()

    def on_message(line: str) -> None:
        if line in printed or (DOWNLOAD in line and not _remember(line)):
            return
        printed.add(line)
        click.echo(line, err=True)

    return on_message


def _remember(hint: str) -> bool:
    """Remember on this machine that a hint is shown. Return whether it is new here."""
    import platformdirs

    file = platformdirs.user_cache_path("segment2inpaint") / "shown_hints.txt"
    with suppress(OSError):
        if file.exists() and hint in file.read_text(encoding="utf-8").splitlines():
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(f"{hint}\n")
    return True


# --- summaries --------------------------------------------------------------------------------


def summary(output: str, result: Result, changes: FileChanges) -> str:
    """Return the result in one line, with what changed in the file outside the mask."""
    models = f"{result.settings['detector']} + {result.settings['inpainter']}"
    repainted = (result.alpha > 0).mean()
    by = f", by up to {changes.levels} of 255 levels {changes.reason}" if changes.outside else ""
    return (
        f"{output}: {_object_count(result.detections)}{_shadow(result)}, "
        f"{repainted:.1%} of the photo repainted, "
        f"{changes.outside} pixels changed outside{by} ({models}, "
        f"{sum(result.seconds.values()):.1f} s){_verdict(result)}"
    )


def mask_summary(output: str, detections: Sequence[Detection], alpha: Alpha, detector: str) -> str:
    """Return the size of the mask in one line."""
    area = (alpha > 0).mean()
    return f"{output}: {_object_count(detections)}, {area:.1%} of the photo ({detector})"


def ranking(result: Result, files: Mapping[int, str]) -> Iterator[str]:
    """Yield a line for each of several candidates, best first, with the reasons for its rank."""
    if len(result.candidates) < 2:
        return
    for rank, candidate in enumerate(result.candidates, 1):
        source = f"{candidate.settings['inpainter']}, seed {candidate.settings['seed']}"
        said = candidate.judgement.sentence if candidate.judgement else "not verified"
        yield f"{rank}  {files.get(rank, 'not kept')} ({source}): {said}"


def suggestion(result: Result) -> Iterator[str]:
    """Yield the line that says what may mend the result, if anything is known to."""
    if result.action:
        yield f"try: {result.action.options} ({result.action.sentence})"


def _object_count(detections: Sequence[Detection]) -> str:
    return f"{len(detections)} object{'s' * (len(detections) != 1)}"


def _shadow(result: Result) -> str:
    """Return the words for a shadow that was removed too."""
    if not result.settings.get("shadow"):
        return ""
    return " with its shadow" if len(result.detections) == 1 else " with shadows"


def _verdict(result: Result) -> str:
    """Return what the judgement says; nothing if the result was not verified."""
    if not result.judgement:
        return ""
    attempts = max((int(attempt["attempt"]) for attempt in result.attempts), default=1)
    after = f"after {attempts} attempts, " if attempts > 1 else ""
    return f"; {after}{result.judgement.sentence}"
