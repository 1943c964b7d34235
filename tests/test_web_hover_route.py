"""The route of the hover preview: what a click would find, without waiting and without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import web_server
from fake_networks import MAX_WAIT, HeldNetwork
from fastapi.testclient import TestClient
from web_server import API, BASE_URL, CLICK, make_app

from segment2inpaint import detect
from segment2inpaint.web.app_state import AppState
from segment2inpaint.web.limits import Limits

MISS = {"points": {"include": [[5, 5]]}}


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldNetwork]:
    fake = HeldNetwork()
    monkeypatch.setattr(detect, "load", lambda *_, **__: fake.detector)
    yield fake
    fake.decoder.released.set()


@pytest.fixture
def client(network: HeldNetwork) -> Iterator[TestClient]:
    with TestClient(make_app(Limits(masks=1)), base_url=BASE_URL) as test_client:
        yield test_client


def post(client: TestClient, photo: str, call: str, prompt: object = CLICK) -> Any:
    response = client.post(f"{API}/photos/{photo}/{call}", json={"prompts": [prompt]})
    assert response.status_code == 200, response.text
    return response.json()


def test_a_hover_shows_the_contours_that_a_click_finds_and_stores_no_mask(
    client: TestClient,
) -> None:
    photo = web_server.open_photo(client)
    (found,) = post(client, photo, "find")["objects"]
    for _ in range(3):
        assert post(client, photo, "hover") == {"ready": True, "paths": found["paths"]}
    assert client.get(f"{API}/photos/{photo}/masks/{found['mask']}").status_code == 200


def test_a_hover_over_nothing_has_no_contours(client: TestClient) -> None:
    photo = web_server.open_photo(client)
    hover = client.post(
        f"{API}/photos/{photo}/hover", json={"prompts": [{"points": {"exclude": [[5, 5]]}}]}
    )
    assert hover.json() == {"ready": True, "paths": []}


def test_a_hover_does_not_start_the_encoder_before_the_embedding_is_computed(
    client: TestClient, network: HeldNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AppState, "prepare", lambda *_: None)
    photo = web_server.open_photo(client)
    assert post(client, photo, "hover") == {"ready": False, "paths": []}
    assert not network.encoder.frames
    assert client.get(f"{API}/photos/{photo}").json()["prepared"] == []
    post(client, photo, "find")
    assert post(client, photo, "hover")["ready"]
    assert client.get(f"{API}/photos/{photo}").json()["prepared"] == ["builtin"]


def test_an_opened_photo_is_ready_for_hovers(client: TestClient) -> None:
    photo = web_server.open_photo(client)
    assert client.get(f"{API}/photos/{photo}").json()["prepared"] == ["auto", "builtin"]


def test_a_hover_yields_to_a_running_click(client: TestClient, network: HeldNetwork) -> None:
    photo, decoder = web_server.open_photo(client), network.decoder
    decoder.released.clear()
    with ThreadPoolExecutor() as pool:
        click = pool.submit(post, client, photo, "find")
        assert decoder.started.wait(MAX_WAIT)
        assert post(client, photo, "hover", MISS) == {"ready": False, "paths": []}
        decoder.released.set()
        assert click.result(MAX_WAIT)["objects"]


def test_a_click_does_not_wait_for_a_running_hover(
    client: TestClient, network: HeldNetwork
) -> None:
    photo, decoder = web_server.open_photo(client), network.decoder
    post(client, photo, "find")  # its answer is cached
    decoder.released.clear()
    decoder.started.clear()
    with ThreadPoolExecutor() as pool:
        hover = pool.submit(post, client, photo, "hover", MISS)
        assert decoder.started.wait(MAX_WAIT)
        assert post(client, photo, "find")["objects"]
        assert not hover.done()
        decoder.released.set()
        assert hover.result(MAX_WAIT)["ready"]
