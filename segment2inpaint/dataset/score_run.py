"""Score the removals of a folder: photos before and after, paired by name.

A pair that cannot be read or compared costs only itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from segment2inpaint import images
from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.sidecars import SidecarFolder
from segment2inpaint.dataset.inputs import read_input
from segment2inpaint.dataset.names import is_photo
from segment2inpaint.errors import BadDataset, Segment2InpaintError
from segment2inpaint.verify.scoring import Score, score_removal

ReadFile = Callable[[str], bytes]


@dataclass(frozen=True)
class ScoreFiles:
    """The files of a pair; ``mask`` and ``clean`` are empty if there are none."""

    before: str
    after: str
    mask: str = ""
    clean: str = ""


@dataclass(frozen=True)
class ScoreOutcome:
    """The score of a pair, or the reason why there is none.

    Without a score, ``before`` may be empty, and ``after`` may be empty or a mask without a photo.
    """

    before: str
    after: str
    score: Score | None = None
    error: str = ""


def folder_pairs(
    before: str, after: str, mask: str = "", clean: str = ""
) -> Iterator[ScoreFiles | ScoreOutcome]:
    """Yield the files of each photo in the folder ``before``, and an outcome for what has no pair.

    ``after`` is a folder with a result for each photo; ``mask`` and ``clean`` are folders too, or
    one file for all. Files are paired by name as ``formats.sidecars`` does. Raises ``BadDataset``
    if ``after`` is no folder, if a mask or clean photo is missing, or if no photo has a result.
    """
    if not storage.is_folder(after):
        raise BadDataset(f"{after}: expected a folder, as {before} is one; check the path")
    files = [name for name in (mask, clean) if name and not storage.is_folder(name)]
    for name in storage.find_missing(files):
        raise BadDataset(f"{name}: no such file or folder; check the path")
    names = [name for name in storage.list_files(before) if is_photo(name)]
    folders = {
        kind: SidecarFolder(kind, folder, before, names)
        for kind, folder in (("result", after), ("mask", mask), ("plate", clean))
        if folder and storage.is_folder(folder)
    }
    photos = [
        name for name in names if not any(name in f.files_below_root for f in folders.values())
    ]
    found = [_pair(before, name, folders, mask, clean) for name in photos]
    if not any(isinstance(pair, ScoreFiles) for pair in found):
        first = next((outcome.error for outcome in found if isinstance(outcome, ScoreOutcome)), "")
        reason = first or f"there are no photos in {before}"
        raise BadDataset(f"{after}: nothing to score: {reason}; expected files of the same names")
    yield from found
    for kind, folder in folders.items():
        for name in folder.without_photo(photos):
            file = storage.join(folder.folder, name)
            yield ScoreOutcome("", file, error=f"no photo in {before} has this {kind}")


def _pair(
    folder: str, name: str, folders: dict[str, SidecarFolder], mask: str, clean: str
) -> ScoreFiles | ScoreOutcome:
    """Return the files of a photo, or why it has none."""
    before = storage.join(folder, name)
    try:
        files = {kind: sidecars.find(name) for kind, sidecars in folders.items()}
    except BadDataset as error:
        return ScoreOutcome(before, "", error=str(error))
    return ScoreFiles(before, files["result"], files.get("mask", mask), files.get("plate", clean))


def run(
    pairs: Iterable[ScoreFiles | ScoreOutcome],
    *,
    max_pixels: int = images.MAX_PIXELS,
    resize_mask: bool = False,
    on_message: Callable[[str], None] | None = None,
) -> Iterator[ScoreOutcome]:
    """Yield the outcome of each pair, in order. The options are those of ``score_files``."""
    for pair in pairs:
        if isinstance(pair, ScoreOutcome):
            yield pair
            continue
        try:
            score = score_files(
                pair, max_pixels=max_pixels, resize_mask=resize_mask, on_message=on_message
            )
            yield ScoreOutcome(pair.before, pair.after, score)
        except Segment2InpaintError as error:
            yield ScoreOutcome(pair.before, pair.after, error=str(error))


def score_files(
    pair: ScoreFiles,
    *,
    max_pixels: int = images.MAX_PIXELS,
    resize_mask: bool = False,
    on_message: Callable[[str], None] | None = None,
    read_file: ReadFile = read_input,
) -> Score:
    """Return the score of a pair of files. Raises as ``score_removal``.

    ``resize_mask`` and ``on_message`` are as for ``images.read_mask``. ``read_file`` returns the
    bytes of a file by its name.
    """

    def read(name: str) -> images.Photo:
        return images.read(read_file(name), name=name, max_pixels=max_pixels)

    before, after = read(pair.before), read(pair.after)
    mask = None
    if pair.mask:
        mask = images.read_mask(
            read_file(pair.mask), before.size, name=pair.mask, orientation=before.orientation,
            resize=resize_mask, greys=True, on_message=on_message,
        )  # fmt: skip
    return score_removal(before, after, mask, read(pair.clean) if pair.clean else None)
