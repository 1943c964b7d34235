"""The page's HTTP API: what a script can do with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_detectors
from click.testing import CliRunner
from PIL import Image as Pillow

pytest.importorskip("fastapi", reason="the page needs the extra [web]")
from fastapi.testclient import TestClient
from web_server import API, DISC, app, file_of, scene, served

from segment2inpaint import detect, inpaint
from segment2inpaint.cli import main
from segment2inpaint.editor import Editor
from segment2inpaint.request import to_json
from segment2inpaint.types import Request, UserMask
from segment2inpaint.web.app import make

HERE = "http://127.0.0.1"
CLICK = {"points": {"include": [list(DISC)]}}
ON_DISC = {"color": {"at": list(DISC), "tolerance": 40}}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(app(), base_url=HERE) as made:
        yield made


def opened(client: TestClient, data: bytes | None = None, name: str = "photo.png") -> str:
    answer = client.post(f"{API}/photos", params={"name": name}, content=data or file_of(scene()))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def finished(client: TestClient, photo: str, **request: Any) -> dict[str, Any]:
    """A job run to its end."""
    answer = client.post(f"{API}/photos/{photo}/jobs", json=request)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    while job["state"] in ("queued", "running"):
        job = client.get(f"{API}/jobs/{job['id']}", params={"wait": 5}).json()
    return job


def array(data: bytes) -> np.ndarray:
    return np.asarray(Pillow.open(BytesIO(data)))


def error(answer: Any, status: int, *parts: str) -> None:
    assert answer.status_code == status, answer.text
    message = answer.json()["error"]["message"]
    assert "\n" not in message
    for part in parts:
        assert part in message


# --- the main job ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "prompt", "options"),
    [
        ("photo.jpg", CLICK, {"quality": 90, "icc_profile": b"x" * 16 + b"RGB " + b"x" * 120}),
        ("photo.png", ON_DISC, {}),
        ("photo.webp", ON_DISC, {"lossless": True}),
        ("photo.gif", ON_DISC, {}),
    ],
)
def test_the_download_is_the_command_lines(
    client: TestClient, tmp_path: Path, name: str, prompt: dict[str, Any], options: dict[str, Any]
) -> None:
    """Byte for byte, for the command that the server itself tells."""
    kind = {"jpg": "JPEG"}.get(name[6:], name[6:])
    data = file_of(scene(), kind, **options)
    (tmp_path / name).write_bytes(data)
    photo = opened(client, data, name)
    request = {"prompts": [prompt], "refine": {"dilate": "9px"}}
    job = finished(client, photo, **request)
    assert job["state"] == "done", job
    got = client.get(f"{API}/results/{job['result']}/file")
    line = client.post(f"{API}/photos/{photo}/command", json=request).json()["command"]
    words = line.split()
    assert words[:2] == ["segment2inpaint", "remove"]
    with pytest.MonkeyPatch.context() as here:
        here.chdir(tmp_path)
        assert CliRunner().invoke(main, words[1:]).exit_code == 0
    assert (tmp_path / words[-1]).read_bytes() == got.content
    assert got.headers["content-disposition"] == f'attachment; filename="{words[-1]}"'
    told = client.get(f"{API}/results/{job['result']}").json()
    assert told["changed_outside"] == 0
    assert told["candidates"][0]["verdict"] in ("clean", "doubtful")
    assert len(told["candidates"][0]["checks"]) >= 5


def test_a_candidate_is_the_command_lines_too(client: TestClient, tmp_path: Path) -> None:
    """Ranked, the best first; the second one's file is that of ``--keep 2``."""
    data = file_of(scene())
    (tmp_path / "photo.png").write_bytes(data)
    photo = opened(client, data)
    request = {"prompts": [ON_DISC], "fill": {"candidates": 2}, "attempts": 1}
    job = finished(client, photo, **request)
    told = client.get(f"{API}/results/{job['result']}").json()
    assert len(told["candidates"]) == 2
    second = {"candidate": 1}
    got = client.get(f"{API}/results/{job['result']}/file", params=second).content
    assert got != client.get(f"{API}/results/{job['result']}/file").content
    line = client.post(f"{API}/photos/{photo}/command", json=request, params=second).json()
    words = line["command"].split()
    with pytest.MonkeyPatch.context() as here:
        here.chdir(tmp_path)
        assert CliRunner().invoke(main, words[1:]).exit_code == 0
    assert (tmp_path / words[-1]).read_bytes() == got
    error(
        client.get(f"{API}/results/{job['result']}/file", params={"candidate": 2}),
        404,
        "there are 2",
    )


def test_what_options_cannot_say_is_said_by_a_saved_request(
    client: TestClient, tmp_path: Path
) -> None:
    """Two objects, one of them by a mask within: the command and the request give the same file."""
    data = file_of(scene())
    (tmp_path / "photo.png").write_bytes(data)
    photo = opened(client, data)
    near = [[70, 60], [90, 60]]
    bits = np.zeros((120, 160), np.bool_)
    bits[10:30, 10:40] = True
    runs = to_json(Request((UserMask(bits),)))["prompts"][0]
    request = {
        "prompts": [runs, {"color": {"at": near[0]}}, {"color": {"at": near[1], "tolerance": 9}}],
        "inpainter": "telea",
        "attempts": 1,
    }
    job = finished(client, photo, **request)
    got = client.get(f"{API}/results/{job['result']}/file").content
    told = client.post(f"{API}/photos/{photo}/command", json=request).json()
    assert told["saves_request"]
    words = told["command"].split()
    assert words[3] == "--request"
    (tmp_path / words[4]).write_text(json.dumps(told["request"]))
    with pytest.MonkeyPatch.context() as here:
        here.chdir(tmp_path)
        run = CliRunner().invoke(main, words[1:])
        assert run.exit_code == 0, run.output
        mixed = CliRunner().invoke(main, [*words[1:], "--seed", "3"])
        assert mixed.exit_code == 2
        assert "leave out" in mixed.stderr
        (tmp_path / words[4]).write_text('{"prompts": 5}')
        broken = CliRunner().invoke(main, words[1:])
        assert broken.exit_code == 1
        assert "expected a request" in broken.stderr
    assert (tmp_path / words[-1]).read_bytes() == got


def test_found_outlined_drawn_and_run(client: TestClient) -> None:
    """The way of a page: find, see what would change, correct, remove by the mask."""
    photo = opened(client)
    found = client.post(f"{API}/photos/{photo}/find", json={"prompts": [ON_DISC]}).json()
    (disc,) = found["objects"]
    assert disc["box"] == pytest.approx([66, 46, 95, 75], abs=2)
    near = client.post(
        f"{API}/photos/{photo}/outline",
        json={"masks": [disc["mask"]], "refine": {"dilate": "10px", "feather": "4px"}},
    ).json()
    xs = np.array(near["paths"][0][::2])
    assert xs.min() == pytest.approx(disc["box"][0] - 10, abs=1.5)
    assert (near["dilate"], near["feather"]) == (10, 4)
    stroke = {"points": [[10, 10], [40, 10]], "radius": 4}
    drawn = client.post(
        f"{API}/photos/{photo}/strokes", json={"mask": disc["mask"], "strokes": [stroke]}
    ).json()
    assert drawn["box"][0] == pytest.approx(6, abs=1)
    bits = array(client.get(f"{API}/photos/{photo}/masks/{drawn['mask']}").content) > 127
    assert bits[10, 25]
    assert bits[DISC[1], DISC[0]]
    job = finished(client, photo, prompts=[{"mask": drawn["mask"]}], inpainter="telea")
    result = array(client.get(f"{API}/results/{job['result']}/file").content)
    assert abs(result[DISC[1], DISC[0]].astype(int) - (116, 116, 116)).max() < 20
    changed = array(client.get(f"{API}/results/{job['result']}/mask").content) > 0
    assert (result[~changed] == scene()[~changed]).all()


def test_the_eraser_takes_away(client: TestClient) -> None:
    photo = opened(client)
    found = client.post(f"{API}/photos/{photo}/find", json={"prompts": [ON_DISC]}).json()
    mask = found["objects"][0]["mask"]
    rub = {"points": [list(DISC)], "radius": 6, "erase": True}
    rubbed = client.post(
        f"{API}/photos/{photo}/strokes", json={"mask": mask, "strokes": [rub]}
    ).json()
    assert rubbed["area"] < found["objects"][0]["area"]
    rub["radius"] = 100
    error(
        client.post(f"{API}/photos/{photo}/strokes", json={"mask": mask, "strokes": [rub]}),
        422,
        "nothing is left",
    )


def test_a_network_looks_at_a_photo_before_it_is_clicked(tmp_path: Path) -> None:
    """Its embedding is there when the click comes, which then runs the decoder alone."""
    name = str(tiny_detectors.sam2(tmp_path))
    editor = Editor("cpu", cache=False)
    looked: list[tuple[int, ...]] = []
    detector = editor.detector(name)
    network = detector._network  # type: ignore[attr-defined]
    embed = network.embed
    network.embed = lambda images: looked.extend(i.shape for i in images) or embed(images)
    with (
        pytest.MonkeyPatch.context() as patch,
        TestClient(make(editor, "0"), base_url=HERE) as client,
    ):
        patch.setattr(detect, "choose", lambda *_: detect.DetectorChoice(name))
        photo = opened(client)
        assert looked == [(120, 160, 3)]
        client.post(f"{API}/photos/{photo}/find", json={"prompts": [CLICK]})
    assert looked == [(120, 160, 3)]


def test_the_mask_of_a_request(client: TestClient) -> None:
    photo = opened(client)
    plain = client.post(f"{API}/photos/{photo}/mask", json={"prompts": [ON_DISC]})
    assert plain.headers["content-type"] == "image/png"
    bits = array(plain.content) > 0
    assert bits.sum() == pytest.approx(np.pi * 15**2, rel=0.1)
    rest = client.post(
        f"{API}/photos/{photo}/mask", json={"prompts": [ON_DISC], "refine": {"invert": True}}
    )
    assert ((array(rest.content) > 0) == ~bits).all()


def test_files_of_ones_own(client: TestClient) -> None:
    """A mask, a plate and a picture are sent, and named by the ids that come back."""
    photo = opened(client)
    bits = np.zeros((120, 160), np.uint8)
    bits[40:80, 60:100] = 255

    def sent(kind: str, pixels: np.ndarray) -> str:
        answer = client.post(
            f"{API}/photos/{photo}/files",
            params={"kind": kind, "name": f"{kind}.png"},
            content=file_of(pixels),
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    vase = np.full((40, 20, 3), (0, 200, 0), np.uint8)
    request = {
        "prompts": [{"mask": sent("mask", bits)}],
        "fill": {"picture": sent("picture", vase)},
    }
    job = finished(client, photo, **request)
    result = array(client.get(f"{API}/results/{job['result']}/file").content)
    assert tuple(result[60, 80]) == (0, 200, 0)
    line = client.post(f"{API}/photos/{photo}/command", json=request).json()["command"]
    assert "--mask mask.png" in line
    assert "--with picture.png" in line
    plate = scene(seed=1)
    plate[40:80, 60:100] = plate[40:80, 10:50]
    found = client.post(
        f"{API}/photos/{photo}/find", json={"prompts": [{"plate": sent("plate", plate)}]}
    )
    assert found.json()["objects"]


def test_going_on_from_a_result(client: TestClient) -> None:
    """The new photo is what a second command would read, by the name of the file that the first
    wrote; the old one is still there."""
    photo = opened(client, file_of(scene(), "JPEG", quality=92), "a.jpg")
    job = finished(client, photo, prompts=[ON_DISC], inpainter="telea", verify=False)
    file = client.get(f"{API}/results/{job['result']}/file").content
    answer = client.post(f"{API}/results/{job['result']}/continue")
    assert answer.status_code == 201
    new = answer.json()["id"]
    assert answer.json()["name"] == "a_out.jpg"
    box = {"box": [10, 10, 30, 30]}
    again = finished(client, new, prompts=[box], inpainter="telea", verify=False)
    assert again["state"] == "done"
    other = opened(client, file, "a.jpg")
    expected = finished(client, other, prompts=[box], inpainter="telea", verify=False)
    files = [client.get(f"{API}/results/{j['result']}/file").content for j in (again, expected)]
    assert files[0] == files[1]
    told = client.post(f"{API}/photos/{new}/command", json={"prompts": [box]}).json()["command"]
    assert told.split()[2::2] == ["a_out.jpg", "10,10,30,30", "a_out2.jpg"]
    assert client.get(f"{API}/photos/{photo}").status_code == 200


def test_tiles_are_the_photo(client: TestClient) -> None:
    """Put together they are the photo, at each level; beyond it there are none."""
    pixels = np.random.default_rng(0).integers(0, 255, (700, 1100, 3), np.uint8)
    pixels = np.asarray(Pillow.fromarray(pixels).resize((1100, 700)).reduce(10).resize((1100, 700)))
    photo = opened(client, file_of(pixels))
    told = client.get(f"{API}/photos/{photo}").json()
    assert (told["width"], told["height"], told["levels"]) == (1100, 700, 2)

    def tile(level: int, column: int, row: int) -> np.ndarray:
        got = client.get(f"{API}/photos/{photo}/tiles/{level}/{column}/{row}")
        return array(got.content).astype(int)

    whole = np.vstack([np.hstack([tile(0, x, y) for x in range(3)]) for y in range(2)])
    assert whole.shape == pixels.shape
    assert abs(whole - pixels).mean() < 2
    assert tile(1, 0, 0).shape == (350, 512, 3)
    assert tile(2, 0, 0).shape == (175, 275, 3)
    error(client.get(f"{API}/photos/{photo}/tiles/0/3/0"), 404, "beyond the photo")


def test_a_tile_shows_the_result(client: TestClient) -> None:
    photo = opened(client)
    job = finished(client, photo, prompts=[ON_DISC], inpainter="telea", verify=False)
    before = array(client.get(f"{API}/photos/{photo}/tiles/0/0/0").content).astype(int)
    after = array(client.get(f"{API}/results/{job['result']}/tiles/0/0/0").content).astype(int)
    differ = abs(before - after).max(axis=2)
    assert differ[DISC[1], DISC[0]] > 50
    assert differ[5, 5] == 0


def test_a_see_through_photo_keeps_its_transparency(client: TestClient) -> None:
    pixels = np.dstack([scene(), np.full((120, 160), 255, np.uint8)])
    pixels[:20, :, 3] = 0
    photo = opened(client, file_of(pixels))
    tile = array(client.get(f"{API}/photos/{photo}/tiles/0/0/0").content)
    assert tile.shape == (120, 160, 4)
    assert tile[5, 5, 3] == 0


# --- jobs ------------------------------------------------------------------------------------


def test_jobs_wait_in_a_queue_and_can_be_cancelled(client: TestClient) -> None:
    """Each is told its place, and ends at once."""
    photo = opened(client, file_of(scene(size=(400, 600))))
    box = {"prompts": [{"box": [50, 50, 500, 350]}]}
    first, second, third = (
        client.post(f"{API}/photos/{photo}/jobs", json=box).json() for _ in range(3)
    )
    places = [client.get(f"{API}/jobs/{job['id']}").json()["place"] for job in (second, third)]
    assert places == [1, 2]
    assert client.delete(f"{API}/jobs/{third['id']}").json()["state"] == "cancelled"
    for job in (first, second):
        assert client.delete(f"{API}/jobs/{job['id']}").json()["state"] == "cancelled"
        assert client.get(f"{API}/jobs/{job['id']}").json()["state"] == "cancelled"


def test_progress_is_told(client: TestClient) -> None:
    photo = opened(client, file_of(scene(size=(300, 400))))
    job = client.post(f"{API}/photos/{photo}/jobs", json={"prompts": [ON_DISC]}).json()
    while job["state"] in ("queued", "running"):
        job = client.get(f"{API}/jobs/{job['id']}", params={"wait": 2}).json()
    assert job["stage"] == "check"  # the last that the pipeline tells
    assert job["share"] == 1


def test_sketches_of_what_a_diffusion_model_paints(tmp_path: Path) -> None:
    """One after each step, until the picture itself is there."""
    tiny.stable_diffusion().save_pretrained(tmp_path / "sd")
    with (
        pytest.MonkeyPatch.context() as patch,
        TestClient(app(), base_url=HERE) as client,
    ):
        patch.setattr(inpaint, "choose", lambda **_: str(tmp_path / "sd"))
        fill = {"prompt": "a rose", "num_inference_steps": 3}
        job = finished(client, opened(client), prompts=[ON_DISC], fill=fill, attempts=1)
        assert (job["state"], job["sketches"]) == ("done", 3)
        sketch = client.get(f"{API}/jobs/{job['id']}/sketch")
        assert sketch.headers["content-type"] == "image/jpeg"
        assert array(sketch.content).shape[2] == 3
        other = finished(client, opened(client), prompts=[ON_DISC], inpainter="telea")
        error(client.get(f"{API}/jobs/{other['id']}/sketch"), 404, "no sketch")


def test_a_job_that_fails_says_why_in_a_line(client: TestClient) -> None:
    photo = opened(client)
    job = finished(client, photo, prompts=[ON_DISC], fill={"prompt": "a rose"})
    assert job["state"] == "failed"
    assert job["error"]["kind"] == "ModelMissing"
    assert "models download" in job["error"]["message"]
    job = finished(client, photo, prompts=[{"points": {"include": [[500, 10]]}}])
    assert "500,10 is outside" in job["error"]["message"]


# --- the rest --------------------------------------------------------------------------------


def test_what_it_can_do(client: TestClient) -> None:
    about = client.get(f"{API}/about").json()
    assert {"auto", "grabcut", "color", "mask"} <= set(about["detectors"])
    assert {"auto", "exemplar"} <= set(about["inpainters"])
    models = client.get(f"{API}/models").json()
    assert "sam2.1-tiny" in [model["name"] for model in models]
    assert all(model["licence"] for model in models)


def test_a_model_is_fetched_only_with_its_licence(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segment2inpaint.models import download

    asked = []
    monkeypatch.setattr(download, "download", lambda card, progress: asked.append(card.name))
    to = f"{API}/models/edgetam/download"
    error(client.post(to, json={"licence": "yes"}), 422, "agree to that one")
    assert not asked
    licence = {m["name"]: m for m in client.get(f"{API}/models").json()}["edgetam"]["licence"]
    job = client.post(to, json={"licence": licence}).json()
    while job["state"] in ("queued", "running"):
        job = client.get(f"{API}/jobs/{job['id']}", params={"wait": 2}).json()
    assert (job["state"], asked) == ("done", ["edgetam"])


def test_the_api_is_described(client: TestClient) -> None:
    """Every path is in the OpenAPI, with the errors that all share."""
    told = client.get(f"{API}/openapi.json").json()
    assert f"{API}/photos/{{photo}}/jobs" in told["paths"]
    assert "RequestIn" in told["components"]["schemas"]
    for operations in told["paths"].values():
        for operation in operations.values():
            assert operation.get("summary")
            assert "422" in operation["responses"]
    assert json.dumps(told)


@pytest.mark.slow
def test_the_readmes_script_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands there, but for the address."""
    root = Path(__file__).parent.parent
    blocks = (root / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    (script,) = [b.partition("```")[0] for b in blocks if "api/v1" in b.partition("```")[0]]
    (tmp_path / "samples").symlink_to(root / "samples")
    monkeypatch.chdir(tmp_path)
    with served(app()) as address:
        exec(script.replace("http://127.0.0.1:8808", address), {})
    lawn, ball = (np.asarray(Pillow.open(p)) for p in ("lawn.jpg", "samples/ball.jpg"))
    assert abs(lawn[491, 742].astype(int) - ball[491, 742]).max() > 60


def test_the_page_and_its_files_are_served(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert client.get("/docs").status_code == 200
    assert client.get("/static/none.js").status_code == 404
