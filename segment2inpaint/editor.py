"""The editor: loads models by name, once, and runs requests with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Any

from segment2inpaint import detect, images, inpaint, pipeline
from segment2inpaint.batching import EditRun, run_batched, single_outcome
from segment2inpaint.compositing.cutout import cut_out
from segment2inpaint.conversions import PhotoLike, as_photo
from segment2inpaint.errors import BadOption, BadPrompt, NothingFound, Segment2InpaintError
from segment2inpaint.models import catalogue
from segment2inpaint.networks.onnx import shipped_network
from segment2inpaint.networks.saliency import salient_box
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import (
    Detector,
    Inpainter,
    PreviewCallback,
    ProgressCallback,
    RuntimeOptions,
    no_progress,
)
from segment2inpaint.request import validate
from segment2inpaint.result import Result
from segment2inpaint.types import Detection, ReplacementImage, Request

# ``auto`` tries the first other one of these that is available after a failed removal.
FALLBACK_INPAINTERS = ("lama", "guided")
# Further candidates for an inpainter that ignores seeds.
CANDIDATE_INPAINTERS = ("guided", "exemplar", "migan", "telea", "ns")
PROMPTLESS_INPAINTERS = (*inpaint.SHIPPED, "lama")


NO_BACKGROUND = (
    "no model on this machine can paint a whole background; lay one behind the object: "
    "--background white, blur, transparent or #rrggbb, or replace --invert --with PICTURE; "
    "or name an --inpainter"
)


def ignore_message(line: str) -> None:
    """Ignore the message."""


@dataclass
class Editor:
    """Edits photos and keeps the models that it has loaded.

    ``device`` is ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``dtype`` is ``auto``,
    ``float32`` or ``bfloat16``. ``cache`` keeps the image embeddings of SAM on disk for the next
    run. ``on_message`` receives one line for each choice that ``auto`` makes. ``runtime`` holds
    options of diffusion models, and ``on_preview`` receives sketches of their steps.
    An editor may be used by several threads; each model is loaded once.

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
    _models: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False)
    _lock: Any = field(default_factory=RLock, init=False, repr=False)

    def resolve(self, request: Request, *, paint: bool = True) -> Request:
        """Return the request with the detector and inpainter that ``auto`` chooses here.

        Without ``paint`` only the detector is chosen. Raises ``BadPrompt`` and ``BadOption`` for
        a request that is not valid, ``ModelMissing`` if no model here can do it.
        """
        validate(request)
        generates = request.fill.generates
        if request.detector == "auto":
            detector = detect.choose(request.prompts, self.device)
            request = replace(request, detector=detector.name)
            if detector.reason:
                self.on_message(f"detector: {detector.name} ({detector.reason})")
        paint = paint and not request.keeps_object
        if paint and request.inpainter == "auto":
            choice = inpaint.choose(generate=generates, device=self.device)
            if request.refine.invert and choice.name in PROMPTLESS_INPAINTERS:
                raise BadOption(NO_BACKGROUND)
            request = replace(request, inpainter=choice.name)
            if choice.reason:
                self.on_message(f"inpainter: {choice.name} ({choice.reason})")
        if paint and request.inpainter in inpaint.OBSCURERS and request.verify:
            self.on_message(f"{request.inpainter} hides the object: there is nothing to verify")
        if paint and request.fill.picture_placement.is_moved and request.verify:
            self.on_message("the place of the picture is given: the result is not verified")
        if paint and generates and request.inpainter in PROMPTLESS_INPAINTERS:
            raise BadOption(
                f"{request.inpainter} cannot read a prompt; choose a diffusion model, or give a "
                "picture: --with"
            )
        return request

    def detector(self, name: str, progress: ProgressCallback = no_progress) -> Detector:
        """Return the detector with this name; see ``detect.load``."""
        detector: Detector = self._load_once(
            ("detector", name),
            lambda: detect.load(name, self.device, cache=self.cache),
            progress,
        )
        return detector

    def inpainter(self, name: str, progress: ProgressCallback = no_progress) -> Inpainter:
        """Return the inpainter with this name; see ``inpaint.load``."""
        inpainter: Inpainter = self._load_once(
            ("inpainter", name),
            lambda: inpaint.load(name, self.device, self.dtype, self.runtime, self.on_preview),
            progress,
        )
        return inpainter

    def pipeline(self, request: Request, progress: ProgressCallback = no_progress) -> Pipeline:
        """Return the pipeline for the request. Raises as ``resolve``.

        ``progress`` gets the stage ``load`` while models are loaded.
        """
        resolved = self.resolve(request)
        detector = self.detector(resolved.detector, progress)
        if request.keeps_object:  # nothing is painted; this one needs no weights
            return Pipeline(detector, self.inpainter("telea"), progress)
        inpainter = self.inpainter(resolved.inpainter, progress)
        others = self._other_inpainters(request, resolved.inpainter)
        return Pipeline(
            detector,
            inpainter,
            progress,
            request.verify,
            request.attempts,
            tuple(self.inpainter(name, progress) for name in others),
        )

    def run(
        self, photo: PhotoLike, request: Request, progress: ProgressCallback = no_progress
    ) -> Result:
        """Find the objects of the request and paint over them.

        ``photo`` is a ``Photo``, a path, bytes, a PIL image or an array.
        Raises ``BadImage``, ``NothingFound``, ``BadPrompt``, ``BadOption``, ``ModelMissing`` and
        ``BadModel``.
        """
        return single_outcome(self.many([(photo, request)], progress))

    def many(
        self, jobs: Iterable[tuple[PhotoLike, Request]], progress: ProgressCallback = no_progress
    ) -> Iterator[Result | Segment2InpaintError]:
        """Yield the result of each job, in order; for a failed job, yield its error.

        Windows of equal size share a call of their inpainter, also across photos. At most as many
        jobs are read ahead as one call has windows, so ``jobs`` may be endless.
        """
        return run_batched((self._edit_run(*job, progress) for job in jobs), progress)

    def _edit_run(
        self, source: PhotoLike, request: Request, progress: ProgressCallback
    ) -> EditRun[Result]:
        photo = as_photo(source)
        with naming_photo(photo):
            flow = self.pipeline(request, progress)
            return (yield from flow.edit_run(photo, self._with_picture_cut_out(request)))

    def _with_picture_cut_out(self, request: Request) -> Request:
        fill = request.fill
        if not (fill.picture and fill.picture_cutout):
            return request
        return replace(request, fill=replace(fill, picture=self.cut_out_picture(fill.picture)))

    def cut_out_picture(self, picture: ReplacementImage) -> ReplacementImage:
        """Return the object that stands out in an opaque picture, cropped and with soft edges.

        A picture with transparency is returned as it is. Raises ``BadOption`` if nothing stands
        out.
        """
        if picture.alpha.min() < 1:
            return picture
        photo = as_photo(picture.image, name=picture.source)
        salient = self._salient_objects(photo)
        if not salient:
            raise BadOption(
                f"{picture.source or 'the picture'}: no object stands out in it; cut one out with "
                "`segment2inpaint cutout`, and leave out --with-cutout"
            )
        cropped = cut_out(photo, salient)
        return ReplacementImage(cropped.image, cropped.alpha, picture.source)

    def _salient_objects(self, photo: images.Photo) -> list[Detection]:
        """Return the object that stands out most in a photo; no object if none does."""
        network = shipped_network("saliency")
        box = network and salient_box(photo.image, network)
        if box:
            with suppress(NothingFound):
                return self.find_objects(photo, Request((box,), detector="builtin"))
        return []

    def _other_inpainters(self, request: Request, inpainter: str) -> list[str]:
        """Return the names of the inpainters for further attempts or candidates."""
        spare = request.inpainter == "auto" and not request.fill.generates
        others = (name for name in FALLBACK_INPAINTERS if name != inpainter)
        fallback = [name for name in others if is_available(name)][:1] if spare else []
        if self.inpainter(inpainter).input_spec.uses_seed:
            return fallback
        wanted = request.fill.candidates - 1
        # another inpainter would invent instead of hide
        choices = () if inpainter in inpaint.OBSCURERS else CANDIDATE_INPAINTERS
        further = [name for name in choices if name != inpainter][:wanted]
        if len(further) < wanted:
            self.on_message(
                f"{len(further) + 1} candidates: {inpainter} gives one result, whatever the seed"
            )
        return list(dict.fromkeys([*further, *fallback]))

    def find_objects(self, photo: PhotoLike, request: Request) -> list[Detection]:
        """Return the objects at the prompts of the request. Raises as ``run``."""
        source = as_photo(photo)
        detector = self.detector(self.resolve(request, paint=False).detector)
        sharp = request.refine.edge_refine
        with naming_photo(source):
            return pipeline.find_objects(detector, source.image, request.prompts, edge_refine=sharp)

    def _load_once(
        self, key: tuple[str, str], load: Callable[[], Any], progress: ProgressCallback
    ) -> Any:
        with self._lock:
            if key not in self._models:
                progress("load", 0.0)
                self._models[key] = load()
            return self._models[key]


def is_available(inpainter: str) -> bool:
    """Return whether the inpainter needs no model or its model can be used on this machine."""
    named = [card.name for card in catalogue.cards()]
    return inpainter not in named or catalogue.is_usable(inpainter)


@contextmanager
def naming_photo(photo: images.Photo) -> Iterator[None]:
    """Put the photo's name in front of an error's message."""
    try:
        yield
    except (BadPrompt, NothingFound) as error:
        raise type(error)(f"{photo.name}: {error}") from error


# --- for a few photos, without an Editor ------------------------------------------------------
