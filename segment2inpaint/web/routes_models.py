"""What this machine has, and what can be fetched on an explicit word."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Path

from segment2inpaint.errors import BadOption
from segment2inpaint.images import formats
from segment2inpaint.models import catalogue
from segment2inpaint.protocols import ProgressCallback
from segment2inpaint.web.app_state import AppState
from segment2inpaint.web.request_builder import detectors, inpainters
from segment2inpaint.web.requests import DownloadIn
from segment2inpaint.web.responses import AboutOut, JobOut, ModelOut
from segment2inpaint.web.routes_results import job_out

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9.-]{0,60}$")]


def routes(served: AppState, version: str) -> APIRouter:
    """About the server and the models."""
    router = APIRouter(tags=["server"])

    @router.get("/about")
    def about() -> AboutOut:
        """What this server can do."""
        here = [c for c in catalogue.cards() if catalogue.find(c.name)]
        reads = any(c.backend in ("grounding-dino", "sam3") for c in here)
        return AboutOut(
            version=version, detectors=detectors(), inpainters=inpainters(), reads=reads,
            generates=any(c.kind == "inpainter" for c in here), formats=formats(),
            limits=dataclasses.asdict(served.limits),
        )  # fmt: skip

    @router.get("/models")
    def models() -> list[ModelOut]:
        """The catalogue, and what of it is on this machine."""
        return [
            ModelOut(
                name=c.name, title=c.title, kind=c.kind, licence=c.licence, gated=c.gated,
                size=c.size, page=c.page, here=catalogue.find(c.name) is not None,
            )
            for c in catalogue.cards()
        ]  # fmt: skip

    @router.post("/models/{name}/download", status_code=202)
    def download(name: Name, agreed: DownloadIn) -> JobOut:
        """Fetch a model of the catalogue; ``licence`` must be that of its card."""
        card = next((c for c in catalogue.cards() if c.name == name), None)
        if card is None:
            raise BadOption(f"no model {name!r} in the catalogue")
        if agreed.licence != card.licence:
            raise BadOption(f"{name} has the licence {card.licence!r}; agree to that one")

        def work(progress: ProgressCallback) -> str:
            from segment2inpaint.models.download import download as fetch

            fetch(card, progress)
            return name

        return job_out(served.downloads, served.downloads.start("", work))

    return router
