"""The zip of many results, and the sample photo."""

from __future__ import annotations

import csv
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO, StringIO
from typing import Any

import pytest
from fastapi.testclient import TestClient
from web_server import (
    API,
    BASE_URL,
    DISC_COLOR,
    assert_error,
    draw_scene,
    encode,
    make_app,
    open_photo,
    run_job,
)

from segment2inpaint.web.sample_photo import BALL_CENTER

FAST = {"prompts": [DISC_COLOR], "inpainter": "telea", "attempts": 1, "verify": False}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(make_app(), base_url=BASE_URL) as test_client:
        yield test_client


def make_result(client: TestClient, name: str, format: str = "PNG", **request: Any) -> str:
    """Upload a scene and remove its disc. Return the id of the result."""
    photo = open_photo(client, encode(draw_scene(), format), name)
    job = run_job(client, photo, **(request or FAST))
    assert job["state"] == "done", job
    return str(job["result"])


def download_zip(client: TestClient, *results: str) -> zipfile.ZipFile:
    response = client.post(
        f"{API}/results/zip", json={"results": [{"result": result} for result in results]}
    )
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    return zipfile.ZipFile(BytesIO(response.content))


def read_verdicts(archive: zipfile.ZipFile) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(archive.read("verdicts.csv").decode())))


def test_a_zip_holds_the_bytes_of_the_single_downloads_and_the_verdicts(client: TestClient) -> None:
    checked = make_result(client, "beach.png", prompts=[DISC_COLOR], attempts=1)
    results = [checked, make_result(client, "tree.jpg", "JPEG")]
    archive = download_zip(client, *results)
    assert archive.testzip() is None
    assert {info.date_time[:2] for info in archive.infolist()} == {time.localtime()[:2]}
    assert archive.namelist() == ["beach.png", "tree.jpg", "verdicts.csv"]
    for name, result in zip(archive.namelist(), results, strict=False):
        assert archive.read(name) == client.get(f"{API}/results/{result}/file").content
    best = client.get(f"{API}/results/{checked}").json()["candidates"][0]
    assert read_verdicts(archive) == [
        {"file": "beach.png", "verdict": best["verdict"], "sentence": best["sentence"]},
        {"file": "tree.jpg", "verdict": "not checked", "sentence": ""},
    ]


def test_the_chosen_candidate_is_in_the_zip(client: TestClient) -> None:
    fill = {"candidates": 2}
    result = make_result(client, "a.png", prompts=[DISC_COLOR], fill=fill, attempts=1)
    body = {"results": [{"result": result, "candidate": 1}]}
    archive = zipfile.ZipFile(BytesIO(client.post(f"{API}/results/zip", json=body).content))
    single = client.get(f"{API}/results/{result}/file", params={"candidate": 1})
    assert archive.read("a.png") == single.content
    body["results"][0]["candidate"] = 2
    assert "there are 2" in assert_error(client.post(f"{API}/results/zip", json=body), 404)


def test_names_in_a_zip_are_unique_and_open_on_every_system(client: TestClient) -> None:
    """They start no formula in a spreadsheet, and a GIF becomes a PNG."""
    result = make_result(client, "a.png")
    names = ["A.PNG", "a (2).png", "../../b.png", "=1+1.png", "-rf.png", "why?a*.png", "写真.png",
             "verdicts.csv", "none"]  # fmt: skip
    results = [result, result, *(make_result(client, name) for name in names)]
    results.append(make_result(client, "g.gif", "GIF"))
    archive = download_zip(client, *results)
    assert archive.namelist() == [
        "a.png", "a (2).png", "A (3).PNG", "a (2) (2).png", "b.png", "_1+1.png", "_rf.png",
        "why_a_.png", "写真.png", "verdicts.png", "none.png", "g.png", "verdicts.csv",
    ]  # fmt: skip
    assert [row["file"] for row in read_verdicts(archive)] == archive.namelist()[:-1]


@pytest.mark.parametrize(
    ("results", "status"),
    [([], 422), ([{"result": "A" * 22}], 404), ([{"result": "../../../etc/passwd"}], 422),
     ([{"result": "A" * 22}] * 201, 422), ([{"result": "A" * 22, "candidate": -1}], 422),
     ([{"result": "A" * 22, "path": "/etc/passwd"}], 422), ("all", 422)],
)  # fmt: skip
def test_a_zip_of_no_too_many_or_unknown_results_is_refused(
    client: TestClient, results: object, status: int
) -> None:
    assert_error(client.post(f"{API}/results/zip", json={"results": results}), status)


def test_one_lost_result_refuses_the_whole_zip(client: TestClient) -> None:
    """Otherwise a zip would lack photos without a word."""
    kept = make_result(client, "kept.png")
    photo = open_photo(client)
    lost = run_job(client, photo, **FAST)["result"]
    client.delete(f"{API}/photos/{photo}")
    body = {"results": [{"result": kept}, {"result": lost}]}
    assert "no such result" in assert_error(client.post(f"{API}/results/zip", json=body), 404)


def test_the_ball_of_the_sample_photo_is_removed_by_one_click(client: TestClient) -> None:
    photo = client.post(f"{API}/photos/sample").json()
    assert (photo["name"], photo["width"], photo["height"]) == ("sample.jpg", 960, 640)
    click = {"points": {"include": [list(BALL_CENTER)]}}
    job = run_job(client, photo["id"], prompts=[click], inpainter="telea", attempts=1)
    report = client.get(f"{API}/results/{job['result']}").json()
    assert report["changed_outside"] == 0
    x0, y0, _, y1 = report["candidates"][0]["box"]
    assert y0 < BALL_CENTER[1] - 80
    assert y1 > BALL_CENTER[1] + 80
    assert x0 < 500  # with the shadow
