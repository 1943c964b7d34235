"""Write the annotations of a run in the formats that were chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from segment2inpaint.dataset.annotations_out import coco, labelme, voc, yolo
from segment2inpaint.dataset.annotations_out.dataset_folder import DatasetFolder, WrittenFiles
from segment2inpaint.dataset.annotations_out.objects import AnnotatedPhoto, annotated_photos
from segment2inpaint.dataset.run_types import Json, MaskOutputs

Writer = Callable[[DatasetFolder, Callable[[], Iterator[AnnotatedPhoto]], Sequence[str]], None]
WRITERS: dict[str, Writer] = {
    "coco": coco.write_polygons,
    "coco-rle": coco.write_run_lengths,
    "yolo": yolo.write_segments,
    "yolo-boxes": yolo.write_boxes,
    "labelme": labelme.write,
    "voc": voc.write,
}


def write(out: str, records: Callable[[], Iterable[Json]], outputs: MaskOutputs) -> None:
    """Write each dataset below the output folder, and delete what earlier runs left in them.

    ``records`` returns the records of the run, sorted by output name. Categories are sorted by
    name. Raises ``BadImage`` for a file that cannot be written.
    """

    def photos() -> Iterator[AnnotatedPhoto]:
        return annotated_photos(records(), outputs.label)

    written = WrittenFiles(out)
    classes = sorted({each.label for photo in photos() for each in photo.objects})
    for name in dict.fromkeys(outputs.annotations):
        WRITERS[name](DatasetFolder(name, written, outputs.photos), photos, classes)
    written.delete_stale()
