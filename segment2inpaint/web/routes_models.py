"""Routes about the server and the model catalogue, and downloads that a client asks for."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Path

from segment2inpaint.errors import BadOption
from segment2inpaint.images import formats
from segment2inpaint.models import catalogue
from segment2inpaint.protocols import ProgressCallback
from segment2inpaint.web.app_state import AppState
from segment2inpaint.web.request_builder import available_detectors, available_inpainters
from segment2inpaint.web.requests import DownloadIn
from segment2inpaint.web.responses import AboutOut, JobOut, ModelOut
from segment2inpaint.web.routes_results import describe_job

TEXT_BACKENDS = ("grounding-dino", "sam3")  # detectors that find objects by text
ModelName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9.-]{0,60}$")]


def create_router(state: AppState, version: str) -> APIRouter:
    """Return the routes about the server and the models."""
    router = APIRouter(tags=["server"])

    @router.get("/about")
    def about() -> AboutOut:
        """Describe the capabilities of this server."""
        usable = [c for c in catalogue.cards() if catalogue.is_usable(c.name)]
        return AboutOut(
            version=version, detectors=available_detectors(), inpainters=available_inpainters(),
            reads=any(c.backend in TEXT_BACKENDS for c in usable),
            generates=any(c.kind == "inpainter" for c in usable),
            formats=formats(), limits=dataclasses.asdict(state.limits),
        )  # fmt: skip

    @router.get("/models")
    def models() -> list[ModelOut]:
        """List the model catalogue, and which models are on this machine."""
        return [
            ModelOut(
                name=c.name, title=c.title, kind=c.kind, licence=c.licence, gated=c.gated,
                size=c.size, page=c.page, here=catalogue.find(c.name) is not None,
            )
            for c in catalogue.cards()
        ]  # fmt: skip

    @router.post("/models/{name}/download", status_code=202)
    def download(name: ModelName, agreement: DownloadIn) -> JobOut:
        """Download a model of the catalogue. ``licence`` must be the licence on its card."""
        card = next((c for c in catalogue.cards() if c.name == name), None)
        if card is None:
            raise BadOption(f"no model {name!r} in the catalogue")
        if agreement.licence != card.licence:
            raise BadOption(f"{name} has the licence {card.licence!r}; agree to that one")

        def work(progress: ProgressCallback) -> str:
            from segment2inpaint.models import download

            download.download(card, progress)
            return name

        return describe_job(state.downloads, state.downloads.start("", work))

    return router
