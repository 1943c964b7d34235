"""What clients send, checked: the JSON of a ``Request``, with its bounds, and of smaller calls.

Files are named by ids that the server gave; there is no way to name a path.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST = 1_000_000  # px: no photo is as long

X = Annotated[int, Field(ge=0, le=MOST)]
Place = Annotated[list[X], Field(min_length=2, max_length=2)]
Places = Annotated[list[Place], Field(max_length=500)]
Corner = Annotated[int, Field(ge=-MOST, le=MOST)]
Corners = Annotated[list[Corner], Field(min_length=4, max_length=4)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22}$")]
Byte = Annotated[int, Field(ge=0, le=255)]
Number = Annotated[int, Field(ge=1, le=255)]
Words = Annotated[str, Field(max_length=2000)]
Radius = Annotated[str, Field(pattern=r"^(auto|[0-9]{1,5}(\.[0-9]{1,3})?(px|%)?)$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.+,_-]{0,80}$")]
Granularity = Literal["auto", "part", "object", "whole"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PointsIn(Strict):
    """One object by pixels on it and beside it, each [x, y]."""

    include: Places = []
    exclude: Places = []
    granularity: Granularity = "auto"


class ColorIn(Strict):
    """Everything of one colour: that of the pixel ``at``, or ``rgb``."""

    at: Place | None = None
    rgb: Annotated[list[Byte], Field(min_length=3, max_length=3)] | None = None
    tolerance: Annotated[float, Field(ge=0, le=200, allow_inf_nan=False)] | None = None
    everywhere: bool = False


class TextIn(Strict):
    words: Annotated[str, Field(min_length=1, max_length=300)]
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    pick: Annotated[list[Number], Field(max_length=255)] = []


class RunLengths(Strict):
    """A mask as uncompressed COCO run lengths: column by column, zeros first."""

    size: Annotated[list[X], Field(min_length=2, max_length=2)]
    counts: Annotated[
        list[Annotated[int, Field(ge=0, le=10**9)]], Field(min_length=1, max_length=2_000_000)
    ]


class PointsPrompt(Strict):
    points: PointsIn


class BoxPrompt(Strict):
    box: Annotated[Corners, Field(description="x0, y0, x1, y1, half-open, in photo px")]


class ColorPrompt(Strict):
    color: ColorIn


class TextPrompt(Strict):
    text: Annotated[str, Field(min_length=1, max_length=300)] | TextIn


class EverythingPrompt(Strict):
    everything: Annotated[list[Number], Field(max_length=255)]


class PlatePrompt(Strict):
    plate: Annotated[Id, Field(description="id of an uploaded photo without the object")]


class MaskPrompt(Strict):
    mask: Id | RunLengths


Prompt = (
    PointsPrompt
    | BoxPrompt
    | ColorPrompt
    | TextPrompt
    | EverythingPrompt
    | PlatePrompt
    | MaskPrompt
)


class RefineIn(Strict):
    dilate: Radius = "auto"
    feather: Radius = "auto"
    fill_holes: bool = True
    invert: bool = False
    shadow: bool | None = None
    edge_refine: bool = True


class FillIn(Strict):
    prompt: Words | None = None
    negative_prompt: Words | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=200)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=100)] | None = None
    strength: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    padding_mask_crop: Annotated[int, Field(ge=0, le=10_000)] | None = None
    picture: Annotated[Id, Field(description="id of an uploaded picture")] | None = None
    candidates: Annotated[int, Field(ge=1, le=8)] = 1


class RequestIn(Strict):
    """All that determines a result, but for the photo."""

    prompts: Annotated[list[Prompt], Field(min_length=1, max_length=200)]
    refine: RefineIn = RefineIn()
    fill: FillIn = FillIn()
    detector: Name = "auto"
    inpainter: Name = "auto"
    verify: bool = True
    attempts: Annotated[int, Field(ge=1, le=5)] = 2

    def plain(self) -> dict[str, Any]:
        """As ``request.load`` takes it."""
        return self.model_dump(exclude_unset=True)


class FindIn(Strict):
    """Objects to find. Of several calls with one ``slot``, only the newest is answered."""

    prompts: Annotated[list[Prompt], Field(min_length=1, max_length=200)]
    detector: Name = "auto"
    edge_refine: bool = True
    slot: Annotated[str, Field(max_length=40)] = ""


class OutlineIn(Strict):
    """Masks by their ids, and what is to be done to them."""

    masks: Annotated[list[Id], Field(min_length=1, max_length=200)]
    refine: RefineIn = RefineIn()
    exclude: Places = []
    replace: bool = False


class Stroke(Strict):
    """A line of points [x, y] in photo px, drawn with a round brush."""

    points: Annotated[
        list[
            Annotated[
                list[Annotated[float, Field(ge=-MOST, le=MOST)]],
                Field(min_length=2, max_length=2),
            ]
        ],
        Field(min_length=1, max_length=5000),
    ]
    radius: Annotated[float, Field(gt=0, le=5000)]
    erase: bool = False


class StrokesIn(Strict):
    """Strokes over a mask, or over none."""

    mask: Id | None = None
    strokes: Annotated[list[Stroke], Field(min_length=1, max_length=500)]


class DownloadIn(Strict):
    """``licence`` is that of the model's card: what the user was shown and agreed to."""

    licence: Annotated[str, Field(max_length=200)]
