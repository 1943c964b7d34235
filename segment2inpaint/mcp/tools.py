"""The work of the tools: each takes plain values and returns data for the assistant, and pictures.

Every function may raise the errors of the package, whose one line says what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from segment2inpaint import images, overlay
from segment2inpaint.compositing.cutout import cut_out
from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.registry import open_source
from segment2inpaint.dataset.options import ExecutionOptions
from segment2inpaint.dataset.run_types import RunSettings
from segment2inpaint.dataset.runner import execute, open_plan
from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadOption
from segment2inpaint.images import Photo
from segment2inpaint.mcp.arguments import (
    Options,
    Placement,
    Selection,
    build_request,
    request_data,
)
from segment2inpaint.mcp.files import Files, preview
from segment2inpaint.protocols import ProgressCallback, no_progress
from segment2inpaint.regions import refined_alpha
from segment2inpaint.result import Result
from segment2inpaint.types import Everything, Image, Request, bounding_box
from segment2inpaint.verify.scoring import score_removal

MAX_LISTED = 20  # failures of a batch that an answer lists


@dataclass(frozen=True)
class Answer:
    """The answer of a tool: JSON data, and a picture as JPEG, empty for none."""

    data: dict[str, Any]
    picture: bytes = b""


@dataclass(frozen=True)
class Tools:
    """The tools over an editor and the files that it may use."""

    files: Files
    editor: Editor = field(default_factory=Editor)

    def find(self, photo: str, selection: Selection) -> Answer:
        """Return the objects of a photo, numbered; without a selection, all that stand out."""
        source = self.files.read_photo(photo)
        is_empty = selection == Selection()
        request = (
            Request((Everything(),)) if is_empty
            else build_request(source, selection, Options(), self.files)
        )  # fmt: skip
        detections = self.editor.find_objects(source, request)
        objects = [
            {"number": number, "box": list(bounding_box(d.mask)), "area": int(d.mask.sum())}
            for number, d in enumerate(detections, 1)
        ]
        drawing = overlay.draw_numbered_masks(source.image, detections)
        height, width = source.size
        return Answer({"width": width, "height": height, "objects": objects}, preview(drawing))

    def remove(
        self,
        photo: str,
        selection: Selection,
        options: Options,
        output: str | None = None,
        overwrite: bool = False,
        progress: ProgressCallback = no_progress,
    ) -> Answer:
        """Remove the selected objects and write the photo."""
        return self._edit(photo, selection, options, output, overwrite, progress, "removed", {})

    def replace(
        self,
        photo: str,
        selection: Selection,
        options: Options,
        picture: str | None = None,
        prompt: str | None = None,
        placement: Placement | None = None,
        output: str | None = None,
        overwrite: bool = False,
        progress: ProgressCallback = no_progress,
    ) -> Answer:
        """Put a picture, or what a prompt describes, in the place of the selected objects."""
        if not (picture or prompt):
            raise BadOption("nothing to put there; give picture, or prompt with a diffusion model")
        placed = placement.fill() if placement else {}
        fill = {"picture": picture, "prompt": prompt, **placed}
        return self._edit(photo, selection, options, output, overwrite, progress, "replaced", fill)

    def _edit(
        self, photo: str, selection: Selection, options: Options, output: str | None,
        overwrite: bool, progress: ProgressCallback, suffix: str, fill: Mapping[str, Any],
    ) -> Answer:  # fmt: skip
        source = self.files.read_photo(photo)
        path = self.files.output(output, source, suffix, overwrite=overwrite)
        request = build_request(source, selection, options, self.files, **fill)
        result = self.editor.run(source, request, progress)
        images.write(path, source, result.image, result.alpha, overwrite=overwrite)
        changes = images.file_changes(
            source, result.changed_outside, result.alpha, path.read_bytes()
        )
        result = replace(result, changed_outside=changes.outside)
        return Answer(_report(result, path), preview(_changed_part(source, result)))

    def mask(
        self, photo: str, selection: Selection, options: Options, output: str | None = None,
        overwrite: bool = False,
    ) -> Answer:  # fmt: skip
        """Write the mask of the selected objects: a black and white PNG."""
        source = self.files.read_photo(photo)
        path = self.files.output(output, source, "mask", overwrite=overwrite, suffix=".png")
        request = build_request(source, selection, options, self.files)
        detections = self.editor.find_objects(source, request)
        alpha, _, _ = refined_alpha(detections, request.prompts, request.refine)
        images.write_mask(path, alpha)
        drawing = overlay.draw_numbered_masks(source.image, detections)
        return Answer({"output": str(path), "objects": len(detections)}, preview(drawing))

    def cutout(
        self, photo: str, selection: Selection, output: str | None = None, overwrite: bool = False
    ) -> Answer:
        """Write the selected objects alone, with soft edges: a PNG with transparency."""
        source = self.files.read_photo(photo)
        path = self.files.output(output, source, "cutout", overwrite=overwrite, suffix=".png")
        request = build_request(source, selection, Options(), self.files)
        detections = self.editor.find_objects(source, request)
        cut = cut_out(source, detections, request.refine, request.prompts)
        cut.save(path, overwrite=overwrite)
        box = cut.box
        white = 255 * (1 - cut.alpha[..., None]) + cut.alpha[..., None] * cut.image
        return Answer(
            {"output": str(path), "box": list(box)}, preview(np.rint(white).astype(np.uint8))
        )

    def score(
        self, before: str, after: str, mask: str | None = None, clean: str | None = None
    ) -> Answer:
        """Return how well a removal by any tool was done."""
        source, result = self.files.read_photo(before), self.files.read_photo(after)
        area = self.files.read_mask(mask, source) if mask else None
        truth = self.files.read_photo(clean) if clean else None
        score = score_removal(source, result, area, truth)
        names = ("area", "changed_outside", "novelty", "psnr", "ssim", "undone")
        return Answer(
            {**score.judgement.to_json(), **{name: getattr(score, name) for name in names}}
        )

    def batch(
        self,
        source: str,
        outdir: str,
        selection: Selection,
        options: Options,
        retry_doubtful: bool = False,
        progress: ProgressCallback = no_progress,
    ) -> Answer:
        """Remove the same selection from every photo of a folder.

        Raises ``BadOption`` for another source, which may name files anywhere.
        """
        path, out = self.files.resolve_folder(source), self.files.resolve_folder(outdir)
        if not path.is_dir():
            raise BadOption(f"{source}: expected a folder of photos; call batch on one")
        if selection.mask:
            raise BadOption("mask: a batch takes none; give points, boxes, find or color_at")
        request = request_data(selection, options)
        settings = RunSettings(
            str(out), device=self.editor.device, dtype=self.editor.dtype, cache=self.editor.cache,
            runtime=self.editor.runtime,
        )  # fmt: skip
        reader = open_source(
            str(path), request, format="folder", annotation_filter=AnnotationFilter(), root=None,
            globs=(), out=settings.out,
        )  # fmt: skip
        verdicts: Counter[str] = Counter()
        failed: list[str] = []
        with open_plan(reader, settings, retry_doubtful=retry_doubtful, skip_invalid=True) as plan:
            counts = plan.counts()
            pending = counts.photos - counts.processed
            for number, outcome in enumerate(execute(plan, reader, ExecutionOptions()), 1):
                verdicts[outcome.verdict or outcome.status] += 1
                if not outcome.ok:
                    failed.append(f"{outcome.photo}: {outcome.error}")
                progress("batch", number / max(1, pending))
        return Answer({
            "outdir": str(out), "photos": counts.photos, "finished_before": counts.processed,
            "verdicts": dict(verdicts), "failed": failed[:MAX_LISTED], "failures": len(failed),
            "report": str(out / "report.html"),
        })  # fmt: skip


def _report(result: Result, path: Path) -> dict[str, Any]:
    """Return what an assistant needs to know of a result, and what to try next."""
    judgement = result.judgement.to_json() if result.judgement else {"verdict": None}
    return {
        "output": str(path),
        **judgement,
        "try": result.action and result.action.to_json(),
        "changed": int((result.alpha > 0).sum()),
        "changed_outside": result.changed_outside,
        "shadow": bool(result.settings.get("shadow")),
        "inpainter": result.settings["inpainter"],
    }


def _changed_part(photo: Photo, result: Result) -> Image:
    """Return the photo before and after, side by side, cropped to what changed."""
    box = bounding_box(result.alpha > 0)
    around = box.expand(max(box.width, box.height) // 2, photo.size).slices
    return np.hstack([photo.image[around], result.image[around]])
