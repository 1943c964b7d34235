"""A photo on the server with its masks and results, and the bounded store of all photos."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.effects.shadow import Shadow, find_shadow
from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.images import Photo
from segment2inpaint.types import Alpha, BinaryMask, Box, Detection, Image, bounding_box
from segment2inpaint.web.limits import Limits

T = TypeVar("T")


class NotFound(Segment2InpaintError):
    """No photo, mask, file, result or job on the server has this id, or no longer."""


class ServerBusy(Segment2InpaintError):
    """The server has no capacity for this call now."""


def new_id() -> str:
    """Return 128 random bits as text. An id is also the permission to read its content."""
    return secrets.token_urlsafe(16)


def file_stem(name: str) -> str:
    """Return a file's name without its suffix."""
    return name.rpartition(".")[0] or name


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A detection in little memory: one bit a pixel, in the bounding box only.

    ``size`` is the (height, width) of the photo; ``score``, ``edge_uncertainty`` and
    ``from_user`` are those of ``Detection``. ``greys`` are the values of a soft mask in the box.
    """

    box: Box
    bits: NDArray[np.uint8]
    size: tuple[int, int]
    score: float
    edge_uncertainty: float
    from_user: bool
    greys: NDArray[np.uint8] | None = None

    @classmethod
    def pack(cls, detection: Detection) -> PackedMask:
        mask, alpha = detection.mask, detection.alpha
        box = bounding_box(mask if alpha is None else alpha > 0)
        greys = None if alpha is None else np.rint(alpha[box.slices] * 255).astype(np.uint8)
        return cls(
            box, np.packbits(mask[box.slices]), (mask.shape[0], mask.shape[1]), detection.score,
            detection.edge_uncertainty, detection.from_user, greys,
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        """The memory that the pixels take."""
        return self.bits.nbytes + (0 if self.greys is None else self.greys.nbytes)

    def unpack(self) -> BinaryMask:
        """Return the mask of the whole photo, (H, W)."""
        flat = np.unpackbits(self.bits, count=self.box.width * self.box.height)
        mask = np.zeros(self.size, np.bool_)
        mask[self.box.slices] = flat.reshape(self.box.height, self.box.width)
        return mask

    def unpack_alpha(self) -> Alpha | None:
        """Return the alpha of a soft mask, (H, W), None for another one."""
        if self.greys is None:
            return None
        alpha: Alpha = np.zeros(self.size, np.float32)
        np.divide(self.greys, 255, dtype=np.float32, out=alpha[self.box.slices])
        return alpha

    def to_detection(self) -> Detection:
        return Detection(
            self.unpack(), self.score, self.edge_uncertainty, self.from_user, self.unpack_alpha()
        )


@dataclass(frozen=True, eq=False)
class ResultPatch:
    """The changed part of a result: its pixels and alpha in the box where alpha is above 0."""

    box: Box
    image: Image
    alpha: Alpha

    @classmethod
    def crop(cls, image: Image, alpha: Alpha) -> ResultPatch:
        box = bounding_box(alpha > 0)
        return cls(box, image[box.slices].copy(), alpha[box.slices].copy())

    def apply(self, photo: Photo) -> tuple[Image, Alpha]:
        """Return the whole result and its whole alpha, given the photo that it is based on."""
        image, alpha = photo.image.copy(), np.zeros(photo.size, np.float32)
        image[self.box.slices], alpha[self.box.slices] = self.image, self.alpha
        return image, alpha


@dataclass(frozen=True, eq=False)
class StoredResult:
    """A result: a patch and a report for each candidate, the best first.

    ``summary`` is the report on all candidates together. ``check_pictures`` are JPEGs, by
    "CANDIDATE CHECK".
    """

    patches: tuple[ResultPatch, ...]
    reports: tuple[Mapping[str, Any], ...]
    summary: Mapping[str, Any]
    check_pictures: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(eq=False)
class PhotoSession:
    """A photo with its masks, uploaded files (as photos) and results, each by id.

    The oldest masks, files and results are dropped if there are too many. ``mask_names`` are
    the file names of uploaded masks. ``shadows`` are those of masks, by the id of the mask, with
    their certainty as the score. ``prepared`` are the names of the detectors that have
    computed the photo's embedding. A session with ``running_jobs`` is not dropped.
    """

    id: str
    photo: Photo
    limits: Limits
    masks: OrderedDict[str, PackedMask] = field(default_factory=OrderedDict)
    files: OrderedDict[str, Photo] = field(default_factory=OrderedDict)
    results: OrderedDict[str, StoredResult] = field(default_factory=OrderedDict)
    mask_names: dict[str, str] = field(default_factory=dict)
    shadows: OrderedDict[str, PackedMask] = field(default_factory=OrderedDict)
    prepared: set[str] = field(default_factory=set)
    last_used: float = field(default_factory=monotonic)
    running_jobs: int = 0

    def mask_file_name(self, mask_id: str) -> str:
        """Return the name of the client's mask file, or the name to save a found mask as."""
        found_mask_name = f"{file_stem(self.photo.name)}_mask_{mask_id[:4].strip('-')}.png"
        return self.mask_names.get(mask_id, found_mask_name)

    def add_mask(self, detection: Detection) -> str:
        """Store a mask and return its id."""
        return _add(self.masks, PackedMask.pack(detection), self.limits.masks)

    def add_file(self, photo: Photo) -> str:
        """Store an uploaded picture and return its id."""
        return _add(self.files, photo, self.limits.results)

    def add_result(self, result: StoredResult) -> str:
        """Store a result and return its id."""
        return _add(self.results, result, self.limits.results)

    def get_mask(self, mask_id: str) -> PackedMask:
        """Raises ``NotFound``."""
        return _get(self.masks, mask_id, "mask")

    def find_shadow(self, mask_id: str) -> Shadow:
        """Return the shadow of a mask's object, found once. Raises ``NotFound``."""
        mask, found = self.get_mask(mask_id), self.shadows.get(mask_id)
        if found is None:
            cast = find_shadow(self.photo.image, mask.unpack())
            found = self.shadows[mask_id] = PackedMask.pack(Detection(cast.mask, cast.certainty))
            while len(self.shadows) > self.limits.masks:
                self.shadows.popitem(last=False)
        return Shadow(found.unpack(), found.score)

    def get_file(self, file_id: str) -> Photo:
        """Raises ``NotFound``."""
        return _get(self.files, file_id, "file")

    def get_result(self, result_id: str) -> StoredResult:
        """Raises ``NotFound``."""
        return _get(self.results, result_id, "result")

    @property
    def memory_bytes(self) -> int:
        """The approximate memory that the session uses."""
        patches = [p for result in list(self.results.values()) for p in result.patches]
        return (
            _memory_bytes(self.photo)
            + sum(_memory_bytes(photo) for photo in list(self.files.values()))
            + sum(m.nbytes for m in [*self.masks.values(), *self.shadows.values()])
            + sum(p.image.nbytes + p.alpha.nbytes for p in patches)
        )


def _memory_bytes(photo: Photo) -> int:
    arrays = (photo.image, photo.alpha, photo.pixels_16bit)
    return sum(a.nbytes for a in arrays if a is not None) + len(photo.jpeg_file)


def _add(items: OrderedDict[str, T], item: T, max_items: int) -> str:
    item_id = new_id()
    items[item_id] = item
    while len(items) > max_items:
        items.popitem(last=False)
    return item_id


def _get(items: OrderedDict[str, T], item_id: str, kind: str) -> T:
    try:
        return items[item_id]
    except KeyError:
        raise NotFound(
            f"no such {kind} for this photo; the server may have dropped it, create it again"
        ) from None


class SessionStore:
    """All photo sessions. The least recently used ones are dropped when space is needed."""

    def __init__(self, limits: Limits, now: Callable[[], float] = monotonic) -> None:
        self.limits, self._now = limits, now
        self._sessions: OrderedDict[str, PhotoSession] = OrderedDict()
        self._lock = threading.RLock()

    def add(self, photo: Photo, keep: float = 0.0) -> PhotoSession:
        """Return a new session for the photo.

        Photos that were used in the last ``keep`` seconds are not dropped for it. Raises
        ``ServerBusy`` if there is no space.
        """
        session = PhotoSession(
            new_id(), replace(photo, path=None), self.limits, last_used=self._now()
        )
        with self._lock:
            self._sessions[session.id] = session
            if not self.evict_idle(keep):
                del self._sessions[session.id]
                raise ServerBusy(
                    "the server has no space for another photo; close some, or start it with more "
                    "--memory"
                )
        return session

    def get(self, photo_id: str) -> PhotoSession:
        """Return the session with this id and mark it as used. Raises ``NotFound``."""
        with self._lock:
            session = self._sessions.get(photo_id)
            if session is None:
                raise NotFound(
                    "no such photo on the server; it may have been dropped, open it again"
                )
            session.last_used = self._now()
            self._sessions.move_to_end(photo_id)
            return session

    def remove(self, photo_id: str) -> None:
        """Delete a photo with its masks and results. Raises ``NotFound``."""
        with self._lock:
            self.get(photo_id)
            del self._sessions[photo_id]

    def find_by_result(self, result_id: str) -> PhotoSession:
        """Return the session that has this result. Raises ``NotFound``."""
        with self._lock:
            for session in self._sessions.values():
                if result_id in session.results:
                    return self.get(session.id)
        raise NotFound("no such result on the server; it may have been dropped, run the job again")

    def evict_idle(self, keep: float = 0.0) -> bool:
        """Drop idle sessions, then the least recently used ones until the rest is within limits.

        The newest session, those used in the last ``keep`` seconds and those with running jobs
        stay. Return whether the rest is within limits.
        """
        with self._lock:
            for session in list(self._sessions.values()):
                idle = self._now() - session.last_used > self.limits.idle
                if idle and not session.running_jobs:
                    del self._sessions[session.id]
            for session in list(self._sessions.values())[:-1]:
                if self._is_within_limits():
                    break
                if not session.running_jobs and self._now() - session.last_used >= keep:
                    del self._sessions[session.id]
            return self._is_within_limits()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def memory_bytes(self) -> int:
        """The approximate memory that all sessions use."""
        with self._lock:
            return sum(session.memory_bytes for session in self._sessions.values())

    def _is_within_limits(self) -> bool:
        photos, memory = len(self._sessions), self.memory_bytes
        return photos <= self.limits.photos and memory <= self.limits.memory
