"""The HTTP API for jobs and results, which gives the same files as the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient
from made_checks import make_check
from web_server import (
    API,
    BASE_URL,
    CLICK,
    DISC_COLOR,
    assert_error,
    decode,
    draw_scene,
    encode,
    make_app,
    open_photo,
    run_job,
    wait_for_job,
)

from segment2inpaint import inpaint
from segment2inpaint.cli import main
from segment2inpaint.request import to_json
from segment2inpaint.types import Request, UserMask
from segment2inpaint.web.routes_results import describe_check


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(make_app(), base_url=BASE_URL) as test_client:
        yield test_client


def run_command(args: list[str], folder: Path) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return CliRunner().invoke(main, args)


# --- results ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "prompt", "options"),
    [
        ("photo.jpg", CLICK, {"quality": 90, "icc_profile": b"x" * 16 + b"RGB " + b"x" * 120}),
        ("photo.png", DISC_COLOR, {}),
        ("photo.webp", DISC_COLOR, {"lossless": True}),
        ("photo.gif", DISC_COLOR, {}),
    ],
)
def test_the_download_equals_the_file_of_the_command_line(
    client: TestClient, tmp_path: Path, name: str, prompt: dict[str, Any], options: dict[str, Any]
) -> None:
    """The bytes are equal for the command that the server gives."""
    format = {"jpg": "JPEG"}.get(name[6:], name[6:])
    data = encode(draw_scene(), format, **options)
    (tmp_path / name).write_bytes(data)
    photo = open_photo(client, data, name)
    request = {"prompts": [prompt], "refine": {"dilate": "9px"}}
    job = run_job(client, photo, **request)
    assert job["state"] == "done", job
    download = client.get(f"{API}/results/{job['result']}/file")
    command = client.post(f"{API}/photos/{photo}/command", json=request).json()["command"]
    args = command.split()
    assert args[:2] == ["segment2inpaint", "remove"]
    assert run_command(args[1:], tmp_path).exit_code == 0
    assert (tmp_path / args[-1]).read_bytes() == download.content
    assert download.headers["content-disposition"] == f'attachment; filename="{args[-1]}"'
    report = client.get(f"{API}/results/{job['result']}").json()
    assert report["changed_outside"] == 0
    assert report["candidates"][0]["verdict"] in ("clean", "doubtful")
    assert len(report["candidates"][0]["checks"]) >= 5


def test_a_candidate_equals_the_file_of_the_command_line(
    client: TestClient, tmp_path: Path
) -> None:
    """The file of the second-best candidate is that of ``--keep 2``."""
    data = encode(draw_scene())
    (tmp_path / "photo.png").write_bytes(data)
    photo = open_photo(client, data)
    request = {"prompts": [DISC_COLOR], "fill": {"candidates": 2}, "attempts": 1}
    job = run_job(client, photo, **request)
    report = client.get(f"{API}/results/{job['result']}").json()
    assert len(report["candidates"]) == 2
    second = {"candidate": 1}
    download = client.get(f"{API}/results/{job['result']}/file", params=second).content
    assert download != client.get(f"{API}/results/{job['result']}/file").content
    answer = client.post(f"{API}/photos/{photo}/command", json=request, params=second).json()
    args = answer["command"].split()
    assert run_command(args[1:], tmp_path).exit_code == 0
    assert (tmp_path / args[-1]).read_bytes() == download
    missing = client.get(f"{API}/results/{job['result']}/file", params={"candidate": 2})
    assert "there are 2" in assert_error(missing, 404)


def test_a_saved_request_replaces_options_that_cannot_express_it(
    client: TestClient, tmp_path: Path
) -> None:
    """A request with an inline mask and two tolerances: command and API give the same file."""
    data = encode(draw_scene())
    (tmp_path / "photo.png").write_bytes(data)
    photo = open_photo(client, data)
    mask = np.zeros((120, 160), np.bool_)
    mask[10:30, 10:40] = True
    inline_mask = to_json(Request((UserMask(mask),)))["prompts"][0]
    colors = [{"color": {"at": [70, 60]}}, {"color": {"at": [90, 60], "tolerance": 9}}]
    request = {"prompts": [inline_mask, *colors], "inpainter": "telea", "attempts": 1}
    job = run_job(client, photo, **request)
    download = client.get(f"{API}/results/{job['result']}/file").content
    answer = client.post(f"{API}/photos/{photo}/command", json=request).json()
    assert answer["saves_request"]
    args = answer["command"].split()
    assert args[3] == "--request"
    (tmp_path / args[4]).write_text(json.dumps(answer["request"]))
    run = run_command(args[1:], tmp_path)
    assert run.exit_code == 0, run.output
    mixed = run_command([*args[1:], "--seed", "3"], tmp_path)
    assert mixed.exit_code == 2
    assert "leave out" in mixed.stderr
    (tmp_path / args[4]).write_text('{"prompts": 5}')
    broken = run_command(args[1:], tmp_path)
    assert broken.exit_code == 1
    assert "expected a request" in broken.stderr
    assert (tmp_path / args[-1]).read_bytes() == download


def test_a_continued_result_equals_the_photo_read_from_its_file(client: TestClient) -> None:
    """The new photo has the name of the downloaded file, and the old photo stays open."""
    photo = open_photo(client, encode(draw_scene(), "JPEG", quality=92), "a.jpg")
    job = run_job(client, photo, prompts=[DISC_COLOR], inpainter="telea", verify=False)
    file = client.get(f"{API}/results/{job['result']}/file").content
    response = client.post(f"{API}/results/{job['result']}/continue")
    assert response.status_code == 201
    continued = response.json()["id"]
    assert response.json()["name"] == "a_out.jpg"
    box = {"box": [10, 10, 30, 30]}
    second = run_job(client, continued, prompts=[box], inpainter="telea", verify=False)
    assert second["state"] == "done"
    reopened = open_photo(client, file, "a.jpg")
    expected = run_job(client, reopened, prompts=[box], inpainter="telea", verify=False)
    files = [client.get(f"{API}/results/{j['result']}/file").content for j in (second, expected)]
    assert files[0] == files[1]
    command = client.post(f"{API}/photos/{continued}/command", json={"prompts": [box]})
    args = command.json()["command"].split()
    assert args[2::2] == ["a_out.jpg", "10,10,30,30", "a_out2.jpg"]
    assert client.get(f"{API}/photos/{photo}").status_code == 200


@pytest.mark.parametrize(
    ("score", "threshold", "failed", "doubtful"),
    [(0.49, 0.8, False, False), (0.5, 0.8, False, True), (0.8, 0.8, True, True),
     (0.3, 0.2, True, True)],
)  # fmt: skip
def test_a_check_says_whether_it_is_doubtful(
    score: float, threshold: float, failed: bool, doubtful: bool
) -> None:
    answer = describe_check(make_check("seam", score, threshold), picture=False)
    assert (answer.failed, answer.doubtful) == (failed, doubtful)


def test_doubtful_checks_and_the_reason_have_a_picture_and_no_others(client: TestClient) -> None:
    job = run_job(client, open_photo(client), prompts=[DISC_COLOR], attempts=1)
    report = client.get(f"{API}/results/{job['result']}").json()
    candidate = report["candidates"][0]
    for check in candidate["checks"]:
        picture = client.get(f"{API}/results/{job['result']}/checks/{check['name']}")
        is_shown = check["doubtful"] or check["name"] == candidate["reason"]
        assert check["picture"] == is_shown
        assert picture.status_code == (200 if is_shown else 404)


# --- jobs ------------------------------------------------------------------------------------


def test_jobs_wait_in_a_queue_and_can_be_cancelled(client: TestClient) -> None:
    photo = open_photo(client, encode(draw_scene(size=(400, 600))))
    request = {"prompts": [{"box": [50, 50, 500, 350]}]}
    first, second, third = (
        client.post(f"{API}/photos/{photo}/jobs", json=request).json() for _ in range(3)
    )
    places = [client.get(f"{API}/jobs/{job['id']}").json()["place"] for job in (second, third)]
    assert places == [1, 2]
    assert client.delete(f"{API}/jobs/{third['id']}").json()["state"] == "cancelled"
    for job in (first, second):
        assert client.delete(f"{API}/jobs/{job['id']}").json()["state"] == "cancelled"
        assert client.get(f"{API}/jobs/{job['id']}").json()["state"] == "cancelled"


def test_a_finished_job_reports_the_last_stage_as_complete(client: TestClient) -> None:
    photo = open_photo(client, encode(draw_scene(size=(300, 400))))
    job = run_job(client, photo, prompts=[DISC_COLOR])
    assert job["stage"] == "check"  # the last stage of the pipeline
    assert job["share"] == 1


def test_a_diffusion_job_gives_a_sketch_after_each_step(tmp_path: Path) -> None:
    tiny.stable_diffusion().save_pretrained(tmp_path / "sd")
    with (
        pytest.MonkeyPatch.context() as patch,
        TestClient(make_app(), base_url=BASE_URL) as client,
    ):
        choice = inpaint.InpainterChoice(str(tmp_path / "sd"))
        patch.setattr(inpaint, "choose", lambda **_: choice)
        fill = {"prompt": "a rose", "num_inference_steps": 3}
        job = run_job(client, open_photo(client), prompts=[DISC_COLOR], fill=fill, attempts=1)
        assert (job["state"], job["sketches"]) == ("done", 3)
        sketch = client.get(f"{API}/jobs/{job['id']}/sketch")
        assert sketch.headers["content-type"] == "image/jpeg"
        assert decode(sketch.content).shape[2] == 3
        other = run_job(client, open_photo(client), prompts=[DISC_COLOR], inpainter="telea")
        missing = client.get(f"{API}/jobs/{other['id']}/sketch")
        assert "no sketch" in assert_error(missing, 404)


def test_a_failed_job_has_an_error_of_one_line(client: TestClient) -> None:
    photo = open_photo(client)
    job = run_job(client, photo, prompts=[DISC_COLOR], fill={"prompt": "a rose"})
    assert job["state"] == "failed"
    assert job["error"]["kind"] == "ModelMissing"
    assert "models download" in job["error"]["message"]
    job = run_job(client, photo, prompts=[{"points": {"include": [[500, 10]]}}])
    assert "500,10 is outside" in job["error"]["message"]


def test_a_model_download_is_a_job_too(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts only for the licence on the model's card."""
    from segment2inpaint.models import download

    downloaded = []
    monkeypatch.setattr(download, "download", lambda card, progress: downloaded.append(card.name))
    path = f"{API}/models/edgetam/download"
    wrong = client.post(path, json={"licence": "yes"})
    assert "agree to that one" in assert_error(wrong, 422)
    assert not downloaded
    licence = {m["name"]: m for m in client.get(f"{API}/models").json()}["edgetam"]["licence"]
    job = wait_for_job(client, client.post(path, json={"licence": licence}).json())
    assert (job["state"], downloaded) == ("done", ["edgetam"])
