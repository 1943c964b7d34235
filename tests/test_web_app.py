"""The server as a whole: its capabilities, its API description and its pages."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from web_server import API, BASE_URL, make_app

from segment2inpaint.request import RANGES
from segment2inpaint.web.requests import FillIn, PlacementIn, RequestIn


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(make_app(), base_url=BASE_URL) as test_client:
        yield test_client


def test_about_lists_the_capabilities(client: TestClient) -> None:
    about = client.get(f"{API}/about").json()
    assert {"auto", "builtin", "color", "mask"} <= set(about["detectors"])
    assert {"auto", "exemplar"} <= set(about["inpainters"])
    models = client.get(f"{API}/models").json()
    assert "sam2.1-tiny" in [model["name"] for model in models]
    assert all(model["licence"] for model in models)


def test_every_route_is_in_the_openapi_description(client: TestClient) -> None:
    schema = client.get(f"{API}/openapi.json").json()
    assert f"{API}/photos/{{photo}}/jobs" in schema["paths"]
    assert "RequestIn" in schema["components"]["schemas"]
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert operation.get("summary")
            assert operation.get("description")
            assert "422" in operation["responses"]
    assert json.dumps(schema)


def test_bounds_of_the_api_lie_within_the_bounds_of_requests() -> None:
    properties = {
        **FillIn.model_json_schema()["properties"],
        **PlacementIn.model_json_schema()["properties"],
        **RequestIn.model_json_schema()["properties"],
    }
    for name, (_, low, high) in RANGES.items():
        schema = properties[name]
        (number,) = [s for s in schema.get("anyOf", [schema]) if s["type"] != "null"]
        assert number["minimum"] == low
        assert number["maximum"] <= high


def test_the_page_and_its_files_are_served(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert client.get("/docs").status_code == 200
    assert client.get("/static/none.js").status_code == 404
