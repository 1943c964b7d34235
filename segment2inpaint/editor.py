"""Names to models, loaded once: what the command line, Python, the page and datasets call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as changed
from threading import RLock
from typing import Any

from segment2inpaint import detect, images, inpaint, pipeline
from segment2inpaint.batching import EditRun, run_batched, single_outcome
from segment2inpaint.errors import BadOption, BadPrompt, NothingFound, Segment2InpaintError
from segment2inpaint.images import Photo
from segment2inpaint.models import catalogue
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import (
    Detector,
    Inpainter,
    PreviewCallback,
    ProgressCallback,
    RuntimeOptions,
    no_progress,
)
from segment2inpaint.request import check
from segment2inpaint.types import (
    Detection,
    Request,
    Result,
)

FALLBACK_INPAINTERS = (
    "lama",
    "telea",
)  # what auto tries when its removal has failed, the first that is here
WEIGHTLESS_INPAINTERS = (
    "exemplar",
    "telea",
    "ns",
)  # candidates beside an inpainter whose seed is idle
PROMPTLESS_INPAINTERS = (*WEIGHTLESS_INPAINTERS, "lama")


def ignore_message(line: str) -> None:
    """Tell nobody."""


@dataclass
class Editor:
    """Edits photos, and keeps the models that it has loaded.

    ``device`` (``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``) and ``dtype`` (``auto``,
    ``float32``, ``bfloat16``) say where and in which numbers models compute; ``cache`` keeps
    what a network makes of a photo on disk for the next run; ``tell`` is given a line wherever
    ``auto`` has chosen; ``tuning`` makes diffusion models fit and hurry,
    ``look`` is shown their work step by step.
    Models are loaded once, also when several threads ask for one.

    >>> editor = Editor()
    >>> photo = read("street.jpg")
    >>> result = editor.run(photo, Request((Points(((412, 300),)),)))
    >>> write("clean.jpg", photo, result.image, result.alpha)
    """

    device: str = "auto"
    dtype: str = "auto"
    cache: bool = True
    on_message: Callable[[str], None] = ignore_message
    runtime: RuntimeOptions = RuntimeOptions()
    on_preview: PreviewCallback | None = None
    _loaded: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False)
    _lock: Any = field(default_factory=RLock, init=False, repr=False)

    def resolve(self, request: Request, *, paint: bool = True) -> Request:
        """The request with what ``auto`` comes to here, without ``paint`` for its mask alone.

        Raises ``BadPrompt`` and ``BadOption`` for what makes no sense, ``ModelMissing`` if
        nothing here can do it.
        """
        check(request)
        if request.detector == "auto":
            choice = detect.choose(request.prompts, self.device)
            request = changed(request, detector=choice.name)
            if choice.reason:
                self.on_message(f"detector: {choice.name} ({choice.reason})")
        if paint and request.inpainter == "auto":
            request = changed(
                request, inpainter=inpaint.choose(generate=_generates(request), device=self.device)
            )
        if paint and _generates(request) and request.inpainter in PROMPTLESS_INPAINTERS:
            raise BadOption(
                f"{request.inpainter} cannot read a prompt; name a diffusion model, or give a "
                "picture: --with"
            )
        return request

    def detector(self, name: str) -> Detector:
        """The detector of this name; see ``detect.load``."""

        def load() -> Detector:
            return detect.load(name, self.device, cache=self.cache)

        found: Detector = self._load_once(("detector", name), load)
        return found

    def inpainter(self, name: str) -> Inpainter:
        """The inpainter of this name; see ``inpaint.load``."""
        found: Inpainter = self._load_once(
            ("inpainter", name),
            lambda: inpaint.load(name, self.device, self.dtype, self.runtime, self.on_preview),
        )
        return found

    def pipeline(self, request: Request, progress: ProgressCallback = no_progress) -> Pipeline:
        """The pipeline that the request asks for."""
        named = self.resolve(request)
        return Pipeline(
            self.detector(named.detector),
            self.inpainter(named.inpainter),
            progress,
            request.verify,
            request.attempts,
            tuple(self.inpainter(name) for name in self._others(request, named.inpainter)),
        )

    def run(
        self, photo: Photo, request: Request, progress: ProgressCallback = no_progress
    ) -> Result:
        """Find what the request points at and paint it over.

        Raises ``NothingFound``, ``BadPrompt``, ``BadOption`` and ``ModelMissing``.
        """
        return single_outcome(self.many([(photo, request)], progress))

    def many(
        self, jobs: Iterable[tuple[Photo, Request]], progress: ProgressCallback = no_progress
    ) -> Iterator[Result | Segment2InpaintError]:
        """The results of many photos, in order; for a job that failed, its error.

        Windows of one size share a call of their inpainter, whatever photo they are of. Of
        ``jobs`` no more are taken ahead than one call has windows, so it may be endless.
        """
        return run_batched((self._steps(*job, progress) for job in jobs), progress)

    def _steps(self, photo: Photo, request: Request, progress: ProgressCallback) -> EditRun[Result]:
        with naming_photo(photo):
            ready = self.pipeline(request, progress)
            return (yield from ready.steps(photo, request))

    def _others(self, request: Request, inpainter: str) -> list[str]:
        """Inpainters to try besides."""
        if self.inpainter(inpainter).input_spec.uses_seed:
            spare = request.inpainter == "auto" and not _generates(request)
            return [next(n for n in FALLBACK_INPAINTERS if _is_here(n))] if spare else []
        wanted = request.fill.candidates - 1
        others = [name for name in WEIGHTLESS_INPAINTERS if name != inpainter][:wanted]
        if len(others) < wanted:
            self.on_message(
                f"{len(others) + 1} candidates: {inpainter} has but one, whatever the seed"
            )
        return others

    def find(self, photo: Photo, request: Request) -> list[Detection]:
        """The objects that the request points at; raises as ``run``."""
        detector = self.detector(self.resolve(request, paint=False).detector)
        sharp = request.refine.edge_refine
        with naming_photo(photo):
            return pipeline.find(detector, photo.image, request.prompts, edge_refine=sharp)

    def _load_once(self, key: tuple[str, str], load: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = load()
            return self._loaded[key]


def _is_here(inpainter: str) -> bool:
    """Whether it needs no model, or its model is on this machine."""
    named = [card.name for card in catalogue.cards()]
    return inpainter not in named or catalogue.find(inpainter) is not None


def _generates(request: Request) -> bool:
    return bool(request.fill.prompt) and not request.fill.picture


@contextmanager
def naming_photo(photo: images.Photo) -> Iterator[None]:
    """Say of which photo an error speaks."""
    try:
        yield
    except (BadPrompt, NothingFound) as error:
        raise type(error)(f"{photo.name}: {error}") from error


# --- for a few photos, without an Editor ------------------------------------------------------
