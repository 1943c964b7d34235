"""The arguments of the tools, and the ``Request`` that they make."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from segment2inpaint import request as requests
from segment2inpaint.conversions import as_picture
from segment2inpaint.errors import BadPrompt
from segment2inpaint.images import Photo
from segment2inpaint.mcp.files import Files
from segment2inpaint.types import Request

Point = Annotated[list[int], Field(min_length=2, max_length=2, description="x, y in photo pixels")]
BoxValues = Annotated[list[int], Field(min_length=4, max_length=4, description="x0, y0, x1, y1")]

PhotoSource = Annotated[str, Field(description="Path of the photo, or data:image/TYPE;base64,DATA")]
Output = Annotated[
    str | None,
    Field(description="Path of the result; by default a new file beside the photo"),
]
Overwrite = Annotated[bool, Field(description="Replace the output if it exists")]


class Selection(BaseModel):
    """The objects, by at least one way to point. All coordinates are photo pixels."""

    model_config = ConfigDict(extra="forbid")

    points: list[Point] = Field(default=[], description="Clicks on one object")
    exclude: list[Point] = Field(
        default=[], description="Clicks on what is not part of that object"
    )
    boxes: list[BoxValues] = Field(default=[], description="A box round each object")
    numbers: list[int] = Field(
        default=[], description="Numbers from the tool find, without its arguments"
    )
    find: Literal["text", "face"] | None = Field(
        default=None, description="All lines of text, or faces"
    )
    words: str | None = Field(
        default=None, description="What to look for; needs a downloaded model"
    )
    color_at: Point | None = Field(default=None, description="A pixel whose colour selects")
    mask: str | None = Field(
        default=None, description="Path or data URL of a mask, white on the object"
    )

    def prompts(self) -> list[dict[str, Any]]:
        """Return the prompts in the JSON form of a request. Raises ``BadPrompt`` for none."""
        found: list[dict[str, Any]] = [{"box": box} for box in self.boxes]
        if self.points:
            found.append({"points": {"include": self.points, "exclude": self.exclude}})
        if self.numbers:
            found.append({"everything": self.numbers})
        named = {"find": self.find, "text": self.words, "mask": self.mask}
        found += [{key: value} for key, value in named.items() if value]
        if self.color_at:
            found.append({"color": {"at": self.color_at}})
        if not found:
            raise BadPrompt(
                "nothing selected; give points, boxes, numbers, find, words, color_at or mask, "
                "and call the tool find to see what can be selected"
            )
        return found


class Options(BaseModel):
    """The options of a removal or replacement; the defaults are good for most photos."""

    model_config = ConfigDict(extra="forbid")

    shadow: bool | None = Field(
        default=None, description="Take the shadow too; null: if it is likely"
    )
    dilate: str = Field(default="auto", description="Growth of the mask, such as 12px or 2%")
    feather: str = Field(default="auto", description="Width of its soft edge")
    protect: list[BoxValues] = Field(default=[], description="Boxes in which nothing may change")
    seed: int = Field(default=0, ge=0, description="Another number gives another result")
    candidates: int = Field(default=1, ge=1, le=16, description="Results to make; the best is kept")
    attempts: int = Field(default=2, ge=1, le=8, description="Attempts after a failed check")
    detector: str = Field(default="auto", description="What finds the objects")
    inpainter: str = Field(default="auto", description="What paints")


class Placement(BaseModel):
    """The place and the look of a picture that is put into the photo."""

    model_config = ConfigDict(extra="forbid")

    at: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        default=None,
        description="Its centre x, y in photo pixels; null: on the lower edge of the object's box",
    )
    scale: float = Field(default=1.0, description="1 is the largest that fits the object's box")
    angle: float = Field(default=0.0, description="Degrees clockwise")
    flip: bool = Field(default=False, description="Mirror it left to right")
    blend: float = Field(default=0.0, description="Adapt its colours to the surroundings, 0 to 1")
    contact_shadow: bool = Field(default=False, description="Darken the ground below it")
    cut_out: bool = Field(
        default=False, description="Take what stands out in a picture without transparency"
    )

    def fill(self) -> dict[str, Any]:
        """Return the values of the fill in the JSON form of a request."""
        placement = self.model_dump(exclude={"cut_out"}, exclude_defaults=True)
        return {"picture_placement": placement, "picture_cutout": self.cut_out}


def build_request(
    photo: Photo, selection: Selection, options: Options, files: Files, **fill: Any
) -> Request:
    """Return the request of a tool's arguments. Raises ``BadOption`` and ``BadPrompt``."""
    return requests.from_json(
        request_data(selection, options, **fill),
        lambda name: as_picture(files.read_photo(name)),
        lambda name: files.read_mask(name, photo),
    )


def request_data(selection: Selection, options: Options, **fill: Any) -> dict[str, Any]:
    """Return the JSON form of the request of a tool's arguments. Raises ``BadPrompt``."""
    refine = {"shadow": options.shadow, "dilate": options.dilate, "feather": options.feather,
              "protect": [{"box": box} for box in options.protect]}  # fmt: skip
    values = {"seed": options.seed, "candidates": options.candidates}
    return {
        "prompts": selection.prompts(), "refine": refine,
        "fill": {**values, **{name: value for name, value in fill.items() if value}},
        "detector": options.detector, "inpainter": options.inpainter,
        "attempts": options.attempts,
    }  # fmt: skip
