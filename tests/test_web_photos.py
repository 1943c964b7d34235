"""The HTTP API for photos: open, tiles, find objects, refine masks, upload files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shadow_scene
import tiny_detectors
from fastapi.testclient import TestClient
from PIL import Image as Pillow
from web_server import (
    API,
    BASE_URL,
    CLICK,
    DISC_CENTER,
    DISC_COLOR,
    DISC_RADIUS,
    assert_error,
    decode,
    draw_scene,
    encode,
    make_app,
    open_photo,
    run_job,
)

from segment2inpaint import detect
from segment2inpaint.detect.sam.predictor import PromptableDetector
from segment2inpaint.editor import Editor
from segment2inpaint.web.app import create_app


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(make_app(), base_url=BASE_URL) as test_client:
        yield test_client


# --- find, outline, draw ---------------------------------------------------------------------


def test_a_photo_can_be_edited_as_the_page_does_it(client: TestClient) -> None:
    """Find an object, outline its mask, draw a stroke into it and remove it by the new mask."""
    photo = open_photo(client)
    found = client.post(f"{API}/photos/{photo}/find", json={"prompts": [DISC_COLOR]}).json()
    (disc,) = found["objects"]
    assert disc["box"] == pytest.approx([66, 46, 95, 75], abs=2)
    outline = client.post(
        f"{API}/photos/{photo}/outline",
        json={"masks": [disc["mask"]], "refine": {"dilate": "10px", "feather": "4px"}},
    ).json()
    xs = np.array(outline["paths"][0][::2])
    assert xs.min() == pytest.approx(disc["box"][0] - 10, abs=1.5)
    assert (outline["dilate"], outline["feather"]) == (10, 4)
    stroke = {"points": [[10, 10], [40, 10]], "radius": 4}
    corrected = client.post(
        f"{API}/photos/{photo}/strokes", json={"mask": disc["mask"], "strokes": [stroke]}
    ).json()
    assert corrected["box"][0] == pytest.approx(6, abs=1)
    mask = decode(client.get(f"{API}/photos/{photo}/masks/{corrected['mask']}").content) > 127
    assert mask[10, 25]
    assert mask[DISC_CENTER[1], DISC_CENTER[0]]
    job = run_job(client, photo, prompts=[{"mask": corrected["mask"]}], inpainter="telea")
    result = decode(client.get(f"{API}/results/{job['result']}/file").content)
    center = result[DISC_CENTER[1], DISC_CENTER[0]].astype(int)
    assert abs(center - (116, 116, 116)).max() < 20
    changed = decode(client.get(f"{API}/results/{job['result']}/mask").content) > 0
    assert (result[~changed] == draw_scene()[~changed]).all()


def test_grabcut_is_accepted_as_the_old_name_of_the_builtin_detector(client: TestClient) -> None:
    photo = open_photo(client)
    for name in ("grabcut", "builtin"):
        body = {"prompts": [CLICK], "detector": name}
        found = client.post(f"{API}/photos/{photo}/find", json=body).json()
        assert found["detector"] == name
        assert len(found["objects"]) == 1
    body = {"prompts": [CLICK], "detector": "sam9"}
    message = assert_error(client.post(f"{API}/photos/{photo}/find", json=body), 422)
    assert "builtin" in message
    assert "grabcut" not in message


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"everything": True}, "body.prompts.0.everything: Input should be a valid list"),
        ({"points": {"include": "x"}}, "body.prompts.0.points.include: Input should be a valid"),
        ({"points": {"include": [["x", 1]]}}, "body.prompts.0.points.include.0.0: Input should"),
        ({"word": "dog"}, "body.prompts.0: expected a prompt with one of the keys points, box"),
        (7, "body.prompts.0: expected a prompt with one of the keys points, box"),
    ],
)
def test_an_error_is_about_the_prompt_that_was_sent(
    client: TestClient, prompt: object, message: str
) -> None:
    photo = open_photo(client)
    answer = client.post(f"{API}/photos/{photo}/find", json={"prompts": [prompt]})
    assert message in assert_error(answer, 422)


def test_erasing_strokes_shrink_the_mask(client: TestClient) -> None:
    photo = open_photo(client)
    found = client.post(f"{API}/photos/{photo}/find", json={"prompts": [DISC_COLOR]}).json()
    mask = found["objects"][0]["mask"]
    stroke = {"points": [list(DISC_CENTER)], "radius": 6, "erase": True}
    body = {"mask": mask, "strokes": [stroke]}
    erased = client.post(f"{API}/photos/{photo}/strokes", json=body).json()
    assert erased["area"] < found["objects"][0]["area"]
    stroke["radius"] = 100
    message = assert_error(client.post(f"{API}/photos/{photo}/strokes", json=body), 422)
    assert "nothing is left" in message


def test_an_opened_photo_is_embedded_before_the_first_click(tmp_path: Path) -> None:
    """The click finds the embedding in the cache and runs the decoder only."""
    name = str(tiny_detectors.sam2(tmp_path))
    editor = Editor("cpu", cache=False)
    detector = editor.detector(name)
    assert isinstance(detector, PromptableDetector)
    embedded: list[tuple[int, ...]] = []
    model = detector.model
    embed = model.embed
    with (
        pytest.MonkeyPatch.context() as patch,
        TestClient(create_app(editor, "0"), base_url=BASE_URL) as client,
    ):
        patch.setattr(
            model, "embed", lambda images: embedded.extend(i.shape for i in images) or embed(images)
        )
        patch.setattr(detect, "choose", lambda *_: detect.DetectorChoice(name))
        photo = open_photo(client)
        assert embedded == [(120, 160, 3)]
        client.post(f"{API}/photos/{photo}/find", json={"prompts": [CLICK]})
    assert embedded == [(120, 160, 3)]


def test_the_mask_of_a_request_is_downloaded_as_png(client: TestClient) -> None:
    photo = open_photo(client)
    response = client.post(f"{API}/photos/{photo}/mask", json={"prompts": [DISC_COLOR]})
    assert response.headers["content-type"] == "image/png"
    mask = decode(response.content) > 0
    assert mask.sum() == pytest.approx(np.pi * DISC_RADIUS**2, rel=0.1)
    inverted = client.post(
        f"{API}/photos/{photo}/mask", json={"prompts": [DISC_COLOR], "refine": {"invert": True}}
    )
    assert ((decode(inverted.content) > 0) == ~mask).all()


def test_uploaded_masks_plates_and_pictures_are_used_by_their_ids(client: TestClient) -> None:
    photo = open_photo(client)
    mask = np.zeros((120, 160), np.uint8)
    mask[40:80, 60:100] = 255

    def upload(kind: str, pixels: np.ndarray) -> str:
        response = client.post(
            f"{API}/photos/{photo}/files",
            params={"kind": kind, "name": f"{kind}.png"},
            content=encode(pixels),
        )
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    vase = np.full((40, 20, 3), (0, 200, 0), np.uint8)
    request = {
        "prompts": [{"mask": upload("mask", mask)}],
        "fill": {"picture": upload("picture", vase)},
    }
    job = run_job(client, photo, **request)
    result = decode(client.get(f"{API}/results/{job['result']}/file").content)
    assert tuple(result[60, 80]) == (0, 200, 0)
    command = client.post(f"{API}/photos/{photo}/command", json=request).json()["command"]
    assert "--mask mask.png" in command
    assert "--with picture.png" in command
    plate = draw_scene(seed=1)
    plate[40:80, 60:100] = plate[40:80, 10:50]
    found = client.post(
        f"{API}/photos/{photo}/find", json={"prompts": [{"plate": upload("plate", plate)}]}
    )
    assert found.json()["objects"]


# --- tiles -----------------------------------------------------------------------------------


def test_tiles_compose_the_photo_at_each_level(client: TestClient) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (700, 1100, 3), np.uint8)
    pixels = np.asarray(Pillow.fromarray(pixels).resize((1100, 700)).reduce(10).resize((1100, 700)))
    photo = open_photo(client, encode(pixels))
    described = client.get(f"{API}/photos/{photo}").json()
    assert (described["width"], described["height"], described["levels"]) == (1100, 700, 2)

    def tile(level: int, column: int, row: int) -> np.ndarray:
        response = client.get(f"{API}/photos/{photo}/tiles/{level}/{column}/{row}")
        return decode(response.content).astype(int)

    composed = np.vstack([np.hstack([tile(0, x, y) for x in range(3)]) for y in range(2)])
    assert composed.shape == pixels.shape
    assert abs(composed - pixels).mean() < 2
    assert tile(1, 0, 0).shape == (350, 512, 3)
    assert tile(2, 0, 0).shape == (175, 275, 3)
    outside = client.get(f"{API}/photos/{photo}/tiles/0/3/0")
    assert "outside the photo" in assert_error(outside, 404)


def test_tiles_of_a_result_differ_only_where_it_changed(client: TestClient) -> None:
    photo = open_photo(client)
    job = run_job(client, photo, prompts=[DISC_COLOR], inpainter="telea", verify=False)
    before = decode(client.get(f"{API}/photos/{photo}/tiles/0/0/0").content).astype(int)
    after = decode(client.get(f"{API}/results/{job['result']}/tiles/0/0/0").content).astype(int)
    difference = abs(before - after).max(axis=2)
    assert difference[DISC_CENTER[1], DISC_CENTER[0]] > 50
    assert difference[5, 5] == 0


def test_tiles_of_a_transparent_photo_have_an_alpha_channel(client: TestClient) -> None:
    pixels = np.dstack([draw_scene(), np.full((120, 160), 255, np.uint8)])
    pixels[:20, :, 3] = 0
    photo = open_photo(client, encode(pixels))
    tile = decode(client.get(f"{API}/photos/{photo}/tiles/0/0/0").content)
    assert tile.shape == (120, 160, 4)
    assert tile[5, 5, 3] == 0


def right_end_of_outline(client: TestClient, shadow: bool | None, **query: object) -> int:
    """Return the largest x of the outline of a post whose shadow lies to its right."""
    photo = open_photo(client, encode(shadow_scene.scene(shaded=True)))
    mask = encode(np.where(shadow_scene.post_mask(), 255, 0).astype(np.uint8))
    file = client.post(
        f"{API}/photos/{photo}/files", params={"kind": "mask", "name": "m.png"}, content=mask
    )
    prompts = {"prompts": [{"mask": file.json()["id"]}]}
    found = client.post(f"{API}/photos/{photo}/find", json=prompts).json()["objects"]
    refine = {"dilate": "2px", "feather": "0px", "shadow": shadow}
    body = {"masks": [found[0]["mask"]], "refine": refine, **query}
    outline = client.post(f"{API}/photos/{photo}/outline", json=body).json()
    return max(x for path in outline["paths"] for x in path[::2])


def test_the_outline_holds_the_shadow_that_goes_with_the_object(client: TestClient) -> None:
    assert right_end_of_outline(client, shadow=False) < 145
    likely = right_end_of_outline(client, shadow=None)
    assert likely == right_end_of_outline(client, shadow=True) > 170


def test_a_negative_click_on_the_shadow_keeps_it(client: TestClient) -> None:
    y, x = (int(values.mean()) for values in np.nonzero(shadow_scene.shadow_mask()))
    assert right_end_of_outline(client, shadow=None, exclude=[[x, y]]) < 145
    assert right_end_of_outline(client, shadow=None, exclude=[[5, 5]]) > 170


@pytest.mark.parametrize(
    "query", [{"flat": True}, {"inpainter": "pixelate"}, {"picture": True}, {"replace": True}]
)
def test_what_is_flat_obscured_or_replaced_has_no_shadow_unless_asked_for(
    client: TestClient, query: dict[str, object]
) -> None:
    assert right_end_of_outline(client, shadow=None, **query) < 145
    assert right_end_of_outline(client, shadow=True, **query) > 170
