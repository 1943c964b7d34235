"""Generated calls of the API, valid and invalid, never get a 5xx answer."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from web_server import API, BASE_URL, draw_scene, encode, make_app

from segment2inpaint.web.limits import Limits

LOCAL = {"host": "localhost"}


def call_generated(operation: Any, photo: str) -> set[int]:
    """Make generated calls of an operation. Return the status codes of the answers."""
    from schemathesis.generation import GenerationMode

    statuses: set[int] = set()

    @settings(
        max_examples=20, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(st.one_of(*(operation.as_strategy(mode) for mode in GenerationMode)))
    def call(case: Any) -> None:
        if "photo" in (case.path_parameters or {}) and case.method != "DELETE":
            case.path_parameters["photo"] = photo
        response = case.call(headers=LOCAL, timeout=120)
        statuses.add(response.status_code)
        assert response.status_code < 500, (case.path, case.body, response.text)

    call()
    return statuses


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_generated_calls_never_get_a_5xx_answer() -> None:
    """The calls are generated from the OpenAPI description, for a photo that exists."""
    schemathesis = pytest.importorskip("schemathesis", reason="needs the extra [dev]")
    app = make_app(Limits(upload=300_000, body=20_000, pixels=1_000_000, queue=10**6))
    schema = schemathesis.openapi.from_asgi(f"{API}/openapi.json", app, headers=LOCAL)
    statuses = {}
    with TestClient(app, base_url=BASE_URL) as client:
        photo = client.post(f"{API}/photos", content=encode(draw_scene())).json()["id"]
        for result in schema.get_all_operations():
            operation = result.ok()
            statuses[operation.label] = call_generated(operation, photo)
    assert len(statuses) >= 18
    assert 200 in statuses[f"GET {API}/photos/{{photo}}"]
