"""Training data of the click network: labelled photos, windows, and their embeddings."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from box_masks import box_mask
from fake_networks import iou
from published_click import randomize, write_encoder
from torch import Tensor

from models.training.click import embed, windows
from models.training.click.labelled_photos import LabelledObject, LabelledPhoto, read_photos
from models.training.click.questions import OBJECT, PART, WHOLE
from models.training.click.tiny_vit import EMBEDDING_CHANNELS, Encoder
from models.training.click.windows import FULL, UNKNOWN, draw_window
from segment2inpaint.networks.click import MASK_CELL
from segment2inpaint.types import BinaryMask, Box

pytestmark = pytest.mark.training

PERSON, BICYCLE, UMBRELLA, CUP = 0, 1, 25, 41
BLUE, RED = (0, 0, 200), (200, 0, 0)
SEEDS = range(30)

torch.set_num_threads(1)  # cores are shared


# --- photos -------------------------------------------------------------------------------------


def write_photo(path: Path, size: tuple[int, int]) -> None:
    cv2.imwrite(str(path), np.full((*size, 3), 90, np.uint8))


def write_polygons(path: Path, size: tuple[int, int], *boxes: tuple[int, Box]) -> None:
    """Write a photo, and boxes as polygons of YOLO segmentation."""
    write_photo(path, size)
    lines = []
    for number, box in boxes:
        corners = [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)]
        places = [f"{x / size[1]:.6f} {y / size[0]:.6f}" for x, y in corners]
        lines.append(" ".join([str(number), *places]))
    path.with_suffix(".txt").write_text("\n".join(lines) + "\n")


def test_a_mask_beside_the_photo_is_its_object(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    write_photo(tmp_path / "inner" / "a.jpg", (1024, 2048))
    truth = box_mask((256, 512), Box(100, 50, 300, 200))
    cv2.imwrite(str(tmp_path / "inner" / "a.png"), truth.astype(np.uint8) * 255)
    write_photo(tmp_path / "unlabelled.jpg", (50, 60))
    (photo,) = read_photos(tmp_path)
    assert photo.image.shape == (512, 1024, 3)
    (labelled,) = photo.objects
    assert iou(labelled.object, np.kron(truth, np.ones((2, 2), np.bool_))) > 0.99
    assert labelled.part is labelled.whole is None


def test_a_person_a_held_thing_and_a_bicycle_are_part_object_and_whole(tmp_path: Path) -> None:
    person, umbrella = Box(100, 60, 140, 160), Box(90, 40, 150, 60)
    bicycle, cup = Box(60, 120, 180, 200), Box(250, 60, 270, 90)
    named = [(PERSON, person), (UMBRELLA, umbrella), (BICYCLE, bicycle), (CUP, cup)]
    write_polygons(tmp_path / "a.jpg", (240, 320), *named)
    (photo,) = read_photos(tmp_path)
    rider, thing, ridden, far = photo.objects
    size = (240, 320)
    assert rider.part is not None
    assert iou(rider.part, box_mask(size, person)) > 0.9
    assert iou(rider.object, box_mask(size, person, umbrella)) > 0.9
    assert rider.whole is not None
    assert iou(rider.whole, box_mask(size, person, umbrella, bicycle)) > 0.9
    assert ridden.whole is not None
    assert iou(ridden.whole, box_mask(size, person, bicycle)) > 0.9
    assert ridden.part is None
    for alone, box in ((thing, umbrella), (far, cup)):
        assert iou(alone.object, box_mask(size, box)) > 0.85
        assert alone.part is alone.whole is None


def test_a_thing_that_mostly_lies_elsewhere_is_not_held(tmp_path: Path) -> None:
    person, long_thing = Box(100, 60, 140, 160), Box(140, 100, 310, 115)
    write_polygons(tmp_path / "a.jpg", (240, 320), (PERSON, person), (UMBRELLA, long_thing))
    (photo,) = read_photos(tmp_path)
    assert [labelled.part for labelled in photo.objects] == [None, None]


def test_objects_that_are_too_small_do_not_count(tmp_path: Path) -> None:
    write_polygons(tmp_path / "a.jpg", (240, 320), (CUP, Box(5, 5, 8, 8)))
    assert not list(read_photos(tmp_path))


def test_wrong_files_are_named_with_the_line(tmp_path: Path) -> None:
    write_polygons(tmp_path / "a.jpg", (240, 320), (CUP, Box(5, 5, 90, 90)))
    with (tmp_path / "a.txt").open("a") as file:
        file.write("\n41 0.1 0.2 0.3\n")
    with pytest.raises(ValueError, match=r"a\.txt: line 3: expected a class .*, got '41 0.1"):
        list(read_photos(tmp_path))
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(ValueError, match=r"a\.jpg: not an image"):
        list(read_photos(tmp_path))


# --- windows ------------------------------------------------------------------------------------


def l_photo(size: tuple[int, int], corner: tuple[int, int]) -> LabelledPhoto:
    """Return a blue photo with a red L, whose part is the foot; nothing is symmetric."""
    x, y = corner
    foot = Box(x, y + 80, x + 70, y + 100)
    mask = box_mask(size, Box(x, y, x + 25, y + 100), foot)
    image = np.where(mask[..., None], RED, BLUE).astype(np.uint8)
    return LabelledPhoto(image, (LabelledObject(mask, part=box_mask(size, foot)),))


PHOTOS = [l_photo((210, 300), (180, 40)), l_photo((240, 170), (20, 100))]


def drawn(monkeypatch: pytest.MonkeyPatch, paste_probability: float) -> list[windows.Window]:
    """Return windows that a perfect camera takes."""
    monkeypatch.setattr(windows, "_photograph", lambda image, rng: image)
    monkeypatch.setattr(windows, "PASTE_PROBABILITY", paste_probability)
    found = [draw_window(PHOTOS, np.random.default_rng(seed)) for seed in SEEDS]
    kept = [window for window in found if window is not None]
    assert len(kept) > 20
    return kept


def red_values(window: windows.Window) -> BinaryMask:
    """Return which values of a label are red in the picture."""
    quarter = window.image.shape[1] // MASK_CELL, window.image.shape[0] // MASK_CELL
    small = cv2.resize(window.image, quarter, interpolation=cv2.INTER_AREA)
    return np.asarray(small[..., 0] > small[..., 2])


def test_windows_fit_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for window in drawn(monkeypatch, 0.5):
        height, width = window.image.shape[:2]
        assert height % 16 == width % 16 == 0
        assert max(window.size) in windows.SIDES
        assert 0 <= height - window.size[0] < 16
        assert 0 <= width - window.size[1] < 16
        assert not window.image[window.size[0] :].any()
        assert not window.image[:, window.size[1] :].any()
        assert window.labels.dtype == np.uint8
        assert window.labels.shape[1:] == (3, height // 4, width // 4)


def test_objects_and_parts_lie_where_the_picture_shows_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for window in drawn(monkeypatch, 0):
        ((object_label, part, whole),) = window.labels > FULL / 2
        assert iou(object_label, red_values(window)) > 0.95
        assert iou(part & object_label, part) > 0.95
        assert 0.2 < part.sum() / object_label.sum() < 0.8
        height, width = (length // MASK_CELL for length in window.size)
        assert (window.labels[0, WHOLE, :height, :width] == UNKNOWN).all()
        assert whole.any()


def test_pasted_objects_lie_where_the_picture_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = drawn(monkeypatch, 1)
    for window in found:
        masks = window.labels[:, OBJECT] > FULL / 2
        red = red_values(window)
        large = [mask for mask in masks if mask.sum() > 100]  # the edge of small ones is soft
        assert all((mask & red).sum() > 0.85 * mask.sum() for mask in large)
        assert masks.sum(0).max() == 1  # what is pasted hides what is behind it
    assert sum(len(window.labels) > 1 for window in found) > 5


def test_some_windows_are_mirrored_and_some_are_whole_photos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mirrored, whole = set[bool](), set[bool]()
    for window in drawn(monkeypatch, 0):
        xs, all_xs = (np.nonzero(window.labels[0, i] == FULL)[1] for i in (PART, OBJECT))
        mirrored.add(bool(xs.mean() < all_xs.mean()))  # the foot points to the left
        whole.add(max(window.size) == windows.PHOTO_SIDE)
    assert mirrored == whole == {False, True}


def test_the_camera_changes_tones_but_not_places() -> None:
    mask = PHOTOS[0].objects[0].object
    image = np.where(mask[..., None], (220, 200, 180), (40, 60, 50)).astype(np.uint8)
    changed = [windows._photograph(image, np.random.default_rng(seed)) for seed in range(12)]
    for picture in changed:
        gray = cv2.GaussianBlur(picture.mean(2), (0, 0), 1)
        assert iou(gray > (gray[mask].mean() + gray[~mask].mean()) / 2, mask) > 0.9
    assert len({picture.tobytes() for picture in changed}) == 12


# --- embed --------------------------------------------------------------------------------------


class CountingEncoder(Encoder):
    """An encoder that averages colours, and can be interrupted before a picture."""

    def __init__(self, interrupted_at: int = -1) -> None:
        super().__init__()
        self.interrupted_at, self.count = interrupted_at, 0

    def forward(self, picture: Tensor, inside: Tensor) -> Tensor:
        if self.count == self.interrupted_at:
            raise KeyboardInterrupt
        self.count += 1
        return torch.nn.functional.avg_pool2d(picture * inside, 16)


def read_all(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    return {path.name: dict(np.load(path)) for path in sorted(folder.glob("*.npz"))}


@pytest.fixture
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "SIDES", (64, 64, 64, 64, 64))
    monkeypatch.setattr(windows, "PHOTO_SIDE", 64)


@pytest.mark.usefixtures("small_frames")
def test_an_interrupted_run_of_embed_goes_on_and_leaves_no_half_files(tmp_path: Path) -> None:
    embed.write_windows(CountingEncoder(), PHOTOS, tmp_path / "once", 6, seed=0)
    expected = read_all(tmp_path / "once")
    folder = tmp_path / "twice"
    with pytest.raises(KeyboardInterrupt):
        embed.write_windows(CountingEncoder(3), PHOTOS, folder, 6, seed=0)
    assert list(read_all(folder)) == list(expected)[:3]
    (folder / "00005.part").write_bytes(b"half")
    second = CountingEncoder()
    embed.write_windows(second, PHOTOS, folder, 6, seed=0)
    assert second.count == len(expected) - 3
    assert not list(folder.glob("*.part"))
    found = read_all(folder)
    assert list(found) == list(expected)
    for name, arrays in expected.items():
        for key, values in arrays.items():
            np.testing.assert_array_equal(found[name][key], values)


@pytest.mark.usefixtures("small_frames")
def test_embeddings_are_those_of_the_encoder() -> None:
    window = draw_window(PHOTOS, np.random.default_rng(3))
    assert window is not None
    embedding = embed.embed(randomize(Encoder()), window)
    height, width = window.image.shape[:2]
    assert embedding.shape == (EMBEDDING_CHANNELS, height // 16, width // 16)
    assert embedding.std() > 0


@pytest.mark.usefixtures("small_frames")
def test_the_command_writes_windows_for_training_and_for_validation(tmp_path: Path) -> None:
    for number in range(2):
        write_polygons(tmp_path / f"{number}.jpg", (240, 320), (PERSON, Box(100, 60, 180, 200)))
    (tmp_path / "weights").mkdir()
    write_encoder(randomize(Encoder()), tmp_path / "weights" / "encoder.onnx")
    words = ["--photos", tmp_path, "--weights", tmp_path / "weights", "--out", tmp_path / "out"]
    embed.main([str(word) for word in [*words, "--count", "10"]], standalone_mode=False)
    counts = {k: len(read_all(tmp_path / "out" / k)) for k in ("training", "validation")}
    assert counts["validation"] == 1
    assert counts["training"] > 5
