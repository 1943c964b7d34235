"""Calls made out of the API's description, valid and not: no answer is a 5xx."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="the page needs the extra [web]")
from fastapi.testclient import TestClient
from web_server import API, app, file_of, scene

from segment2inpaint.web.limits import Limits

HERE = "http://127.0.0.1"
LOCAL = {"host": "localhost"}


def _probed(operation: Any, photo: str) -> set[int]:
    """The statuses of answers to generated calls."""
    from schemathesis.generation import GenerationMode

    statuses: set[int] = set()

    @settings(
        max_examples=20, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(st.one_of(*(operation.as_strategy(mode) for mode in GenerationMode)))
    def probe(case: Any) -> None:
        if "photo" in (case.path_parameters or {}) and case.method != "DELETE":
            case.path_parameters["photo"] = photo
        answer = case.call(headers=LOCAL, timeout=120)
        statuses.add(answer.status_code)
        assert answer.status_code < 500, (case.path, case.body, answer.text)

    probe()
    return statuses


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_input_that_the_description_allows_breaks_it() -> None:
    """Generated from the OpenAPI, valid and not, on a photo that is there: never a 5xx."""
    schemathesis = pytest.importorskip("schemathesis", reason="needs the extra [dev]")
    made = app(Limits(upload=300_000, body=20_000, pixels=1_000_000, queue=10**6))
    schema = schemathesis.openapi.from_asgi(f"{API}/openapi.json", made, headers=LOCAL)
    seen = {}
    with TestClient(made, base_url=HERE) as client:
        photo = client.post(f"{API}/photos", content=file_of(scene())).json()["id"]
        for found in schema.get_all_operations():
            operation = found.ok()
            seen[operation.label] = _probed(operation, photo)
    assert len(seen) >= 18
    assert 200 in seen[f"GET {API}/photos/{{photo}}"]
