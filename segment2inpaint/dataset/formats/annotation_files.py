"""Annotation files that name their photos: one file, or a folder of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from segment2inpaint.dataset import storage
from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.photo_files import PhotoFinder, output_place, source_files
from segment2inpaint.dataset.names import output_name
from segment2inpaint.dataset.run_types import Json


@dataclass(frozen=True)
class AnnotationFiles:
    """The files of an annotation tool; ``path`` is a file, or a folder of files.

    ``base`` is the request as JSON that the annotations complete. ``root`` is the folder of the
    photos; None finds them from the names in the files.
    """

    path: str
    base: Json
    annotation_filter: AnnotationFilter
    root: str | None = None
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    @property
    def is_file(self) -> bool:
        """Return whether ``path`` is a single file."""
        return self.path.lower().endswith(self.suffixes)

    @property
    def folder(self) -> str:
        """Return the folder of the files."""
        return self.path.rpartition("/")[0] if self.is_file else self.path

    def file_names(self) -> list[str]:
        """Return the names of the files below the folder."""
        if self.is_file:
            return [self.path.rpartition("/")[2]]
        return [n for n in source_files(self.folder) if n.lower().endswith(self.suffixes)]

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises ``BadImage`` if it cannot be read."""
        return storage.read(storage.join(self.folder, name))

    def finder(self) -> PhotoFinder:
        """Return the finder of the photos that the files name."""
        return PhotoFinder(self.folder, self.root)

    def output_of(self, photo: str) -> str:
        """Return the name of a photo's result below the output folder."""
        return output_name(output_place(photo, self.folder)[0])
