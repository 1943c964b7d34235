"""A photo on the server with all that belongs to it, and the bounded store of them."""

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

from segment2inpaint.errors import Segment2InpaintError
from segment2inpaint.images import Photo
from segment2inpaint.types import Alpha, BinaryMask, Box, Detection, Image, bounding_box
from segment2inpaint.web.limits import Limits

T = TypeVar("T")


class NotFound(Segment2InpaintError):
    """What a client names is not, or no longer, on the server."""


class ServerBusy(Segment2InpaintError):
    """The server has taken on as much as it may."""


def new_id() -> str:
    """128 random bits: whoever knows the id of a thing may see it."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A mask, packed: the bits in its box."""

    box: Box
    packed: NDArray[np.uint8]
    size: tuple[int, int]
    score: float
    slack: float
    own: bool

    @classmethod
    def of(cls, mask: Detection) -> PackedMask:
        box = bounding_box(mask.mask)
        size = (mask.mask.shape[0], mask.mask.shape[1])
        packed = np.packbits(mask.mask[box.slices])
        return cls(box, packed, size, mask.score, mask.edge_uncertainty, mask.from_user)

    def inside(self) -> BinaryMask:
        """The bits in the box."""
        count = self.box.width * self.box.height
        flat = np.unpackbits(self.packed, count=count)
        return flat.reshape(self.box.height, self.box.width).astype(np.bool_)

    def bits(self) -> BinaryMask:
        """The bits of the whole photo, (H, W)."""
        whole = np.zeros(self.size, np.bool_)
        whole[self.box.slices] = self.inside()
        return whole

    def mask(self) -> Detection:
        return Detection(self.bits(), self.score, self.slack, self.own)


@dataclass(frozen=True, eq=False)
class ResultPatch:
    """What a result changed: its pixels and alpha in the box where alpha is above 0."""

    box: Box
    image: Image
    alpha: Alpha

    @classmethod
    def of(cls, image: Image, alpha: Alpha) -> ResultPatch:
        box = bounding_box(alpha > 0)
        return cls(box, image[box.slices].copy(), alpha[box.slices].copy())

    def over(self, photo: Photo) -> tuple[Image, Alpha]:
        """The whole picture and the whole alpha."""
        image, alpha = photo.image.copy(), np.zeros(photo.size, np.float32)
        image[self.box.slices], alpha[self.box.slices] = self.image, self.alpha
        return image, alpha


@dataclass(frozen=True, eq=False)
class StoredResult:
    """A result: its candidates, best first, each a patch and what is told of it.

    ``whole`` is what is told of all of them, ``overlays`` are JPEGs by candidate and check.
    """

    patches: tuple[ResultPatch, ...]
    reports: tuple[Mapping[str, Any], ...]
    whole: Mapping[str, Any]
    overlays: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(eq=False)
class PhotoSession:
    """A photo, and by id its masks, uploaded files (as photos) and results.

    The oldest masks and results go when there are too many.
    """

    id: str
    photo: Photo
    limits: Limits
    masks: OrderedDict[str, PackedMask] = field(default_factory=OrderedDict)
    files: OrderedDict[str, Photo] = field(default_factory=OrderedDict)
    made: OrderedDict[str, StoredResult] = field(default_factory=OrderedDict)
    names: dict[str, str] = field(default_factory=dict)  # of masks that came as files
    used: float = field(default_factory=monotonic)
    busy: int = 0

    def mask_name(self, mask: str) -> str:
        """What the file of this mask is, or may be, called."""
        stem = self.photo.name.rpartition(".")[0] or self.photo.name
        return self.names.get(mask, f"{stem}_mask_{mask[:4].strip('-')}.png")

    def keep_mask(self, mask: Detection) -> str:
        return _kept(self.masks, PackedMask.of(mask), self.limits.masks)

    def keep_file(self, photo: Photo) -> str:
        return _kept(self.files, photo, self.limits.results)

    def keep_made(self, made: StoredResult) -> str:
        return _kept(self.made, made, self.limits.results)

    def mask(self, name: str) -> PackedMask:
        return _found(self.masks, name, "mask")

    def file(self, name: str) -> Photo:
        return _found(self.files, name, "file")

    def result(self, name: str) -> StoredResult:
        return _found(self.made, name, "result")

    @property
    def bytes(self) -> int:
        """About what it holds in memory."""
        patches = [p for made in list(self.made.values()) for p in made.patches]
        return (
            weight(self.photo)
            + sum(weight(photo) for photo in list(self.files.values()))
            + sum(kept.packed.nbytes for kept in list(self.masks.values()))
            + sum(p.image.nbytes + p.alpha.nbytes for p in patches)
        )


def weight(photo: Photo) -> int:
    """Bytes of a photo in memory."""
    arrays = (photo.image, photo.alpha, photo.pixels_16bit)
    return sum(a.nbytes for a in arrays if a is not None) + len(photo.jpeg)


def _kept(shelf: OrderedDict[str, T], thing: T, most: int) -> str:
    name = new_id()
    shelf[name] = thing
    while len(shelf) > most:
        shelf.popitem(last=False)
    return name


def _found(shelf: OrderedDict[str, T], name: str, kind: str) -> T:
    try:
        return shelf[name]
    except KeyError:
        raise NotFound(
            f"no such {kind} on this photo; it may have been dropped, make it again"
        ) from None


class SessionStore:
    """All desks. The one that was used longest ago goes when there is no room."""

    def __init__(self, limits: Limits, now: Callable[[], float] = monotonic) -> None:
        self.limits, self._now = limits, now
        self._desks: OrderedDict[str, PhotoSession] = OrderedDict()
        self._lock = threading.RLock()

    def add(self, photo: Photo) -> PhotoSession:
        """A desk for the photo. Raises ``Full`` if all others are busy."""
        desk = PhotoSession(new_id(), replace(photo, path=None), self.limits, used=self._now())
        with self._lock:
            self._desks[desk.id] = desk
            if not self.evict_idle():
                del self._desks[desk.id]
                raise ServerBusy("the server has no room for another photo now; try again later")
        return desk

    def get(self, name: str) -> PhotoSession:
        """The desk of this id, used now. Raises ``Gone``."""
        with self._lock:
            desk = self._desks.get(name)
            if desk is None:
                raise NotFound(
                    "no such photo on the server; it may have been dropped, open it again"
                )
            desk.used = self._now()
            self._desks.move_to_end(name)
            return desk

    def drop(self, name: str) -> None:
        """Forget a photo and all that belongs to it. Raises ``Gone``."""
        with self._lock:
            self.get(name)
            del self._desks[name]

    def owner(self, made: str) -> PhotoSession:
        """The desk that has a result of this id. Raises ``Gone``."""
        with self._lock:
            for desk in self._desks.values():
                if made in desk.made:
                    return self.get(desk.id)
        raise NotFound("no such result on the server; it may have been dropped, make it again")

    def evict_idle(self) -> bool:
        """Drop what lies idle, then the oldest until all fits; whether it now does."""
        with self._lock:
            for desk in list(self._desks.values()):
                if not desk.busy and self._now() - desk.used > self.limits.idle:
                    del self._desks[desk.id]
            for desk in list(self._desks.values())[:-1]:
                if self._fits():
                    break
                if not desk.busy:
                    del self._desks[desk.id]
            return self._fits()

    def __len__(self) -> int:
        return len(self._desks)

    @property
    def bytes(self) -> int:
        with self._lock:
            return sum(desk.bytes for desk in self._desks.values())

    def _fits(self) -> bool:
        return len(self._desks) <= self.limits.photos and self.bytes <= self.limits.memory
