"""Schemas of the JSON that clients send: a ``Request`` with its bounds, and smaller calls.

Files are named by ids that the server gave out. A client has no way to name a path.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from segment2inpaint.request import PROMPT_KEYS, RANGES
from segment2inpaint.types import FindKind, Granularity, PictureFit

MAX_COORDINATE = 1_000_000  # px: longer than any photo

Coordinate = Annotated[int, Field(ge=0, le=MAX_COORDINATE)]
Pixel = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
Pixels = Annotated[list[Pixel], Field(max_length=500)]
BoxCoordinate = Annotated[int, Field(ge=-MAX_COORDINATE, le=MAX_COORDINATE)]
BoxCoordinates = Annotated[list[BoxCoordinate], Field(min_length=4, max_length=4)]
ExactCoordinate = Annotated[float, Field(ge=-MAX_COORDINATE, le=MAX_COORDINATE)]
ExactPoint = Annotated[list[ExactCoordinate], Field(min_length=2, max_length=2)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22}$")]
Byte = Annotated[int, Field(ge=0, le=255)]
ObjectNumber = Annotated[int, Field(ge=1, le=255)]
FillText = Annotated[str, Field(max_length=2000)]
SearchText = Annotated[str, Field(min_length=1, max_length=300)]
Radius = Annotated[str, Field(pattern=r"^(auto|[0-9]{1,5}(\.[0-9]{1,3})?(px|%)?)$")]
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.+,_-]{0,80}$")]


def bounds(name: str, maximum: float | None = None) -> Any:
    """Return the range of ``request.RANGES`` as a pydantic field, with a lower maximum if given."""
    _, low, high = RANGES[name]
    return Field(ge=low, le=high if maximum is None else maximum)


class StrictModel(BaseModel):
    """A schema that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid")


class PointsIn(StrictModel):
    """One object, by pixels [x, y] on it (include) and on its surroundings (exclude)."""

    include: Pixels = []
    exclude: Pixels = []
    granularity: Granularity = "auto"


class ColorIn(StrictModel):
    """Everything of one colour: the colour of the pixel ``at``, or ``rgb``."""

    at: Pixel | None = None
    rgb: Annotated[list[Byte], Field(min_length=3, max_length=3)] | None = None
    # a CIE76 colour difference: two colours rarely differ by more than 100
    tolerance: Annotated[float, Field(ge=0, le=200, allow_inf_nan=False)] | None = None
    everywhere: bool = False


class TextIn(StrictModel):
    """Objects by their name; ``pick`` selects some of them by number, the best is 1."""

    words: SearchText
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    pick: Annotated[list[ObjectNumber], Field(max_length=255)] = []


class KindIn(StrictModel):
    """Objects of a kind; ``pick`` and ``exclude`` are numbers of objects, or boxes to leave out."""

    kind: FindKind
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    pick: Annotated[list[ObjectNumber], Field(max_length=255)] = []
    within: BoxCoordinates | None = None
    min_size: Coordinate = 0
    exclude: Annotated[list[ObjectNumber | BoxCoordinates], Field(max_length=255)] = []


class RunLengths(StrictModel):
    """A mask as uncompressed COCO run lengths: column by column, zeros first."""

    size: Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
    counts: Annotated[
        list[Annotated[int, Field(ge=0, le=10**9)]], Field(min_length=1, max_length=2_000_000)
    ]


class PointsPrompt(StrictModel):
    points: PointsIn


class BoxPrompt(StrictModel):
    box: Annotated[BoxCoordinates, Field(description="x0, y0, x1, y1, half-open, in photo px")]


class ColorPrompt(StrictModel):
    color: ColorIn


class TextPrompt(StrictModel):
    text: SearchText | TextIn


class FindPrompt(StrictModel):
    find: FindKind | KindIn


class EverythingPrompt(StrictModel):
    everything: Annotated[list[ObjectNumber], Field(max_length=255)]


class PlatePrompt(StrictModel):
    plate: Annotated[Id, Field(description="id of an uploaded photo without the object")]


class MaskPrompt(StrictModel):
    mask: Id | RunLengths


def _prompt_key(prompt: Any) -> str | None:
    """Return the key that says what a prompt is, None if it has none."""
    fields = prompt if isinstance(prompt, dict) else getattr(type(prompt), "model_fields", ())
    return next((key for key in PROMPT_KEYS.split(", ") if key in fields), None)


# The key chooses the schema, so that an error is about the prompt that was sent.
Prompt = Annotated[
    Annotated[PointsPrompt, Tag("points")]
    | Annotated[BoxPrompt, Tag("box")]
    | Annotated[ColorPrompt, Tag("color")]
    | Annotated[TextPrompt, Tag("text")]
    | Annotated[EverythingPrompt, Tag("everything")]
    | Annotated[FindPrompt, Tag("find")]
    | Annotated[PlatePrompt, Tag("plate")]
    | Annotated[MaskPrompt, Tag("mask")],
    Discriminator(
        _prompt_key,
        custom_error_type="unknown_prompt",
        custom_error_message=f"expected a prompt with one of the keys {PROMPT_KEYS}",
    ),
]
Prompts = Annotated[list[Prompt], Field(min_length=1, max_length=200)]


class RefineIn(StrictModel):
    """Options of the mask. Radii are ``auto``, ``12px`` or ``3%`` of the mask's diagonal."""

    dilate: Radius = "auto"
    feather: Radius = "auto"
    fill_holes: bool = True
    invert: bool = False
    shadow: bool | None = None
    edge_refine: bool = True
    protect: Annotated[
        list[BoxPrompt | MaskPrompt],
        Field(max_length=200, description="areas in which no pixel may change"),
    ] = []


class PlacementIn(StrictModel):
    """The place and look of a picture in the photo; ``at`` is its centre [x, y] in photo px."""

    at: ExactPoint | None = None
    scale: Annotated[float, bounds("scale")] = 1.0
    angle: Annotated[float, bounds("angle")] = 0.0
    flip: bool = False
    blend: Annotated[float, bounds("blend")] = 0.0
    contact_shadow: bool = False


class FillIn(StrictModel):
    """The options of the fill.

    Some maxima are lower than those of the command line, so that one client cannot hold the
    only worker, or the memory, for too long.
    """

    prompt: FillText | None = None
    negative_prompt: FillText | None = None
    # a sampler gains nothing from more steps
    num_inference_steps: Annotated[int, bounds("num_inference_steps", 200)] | None = None
    # far above the usual 1 to 15
    guidance_scale: Annotated[float, bounds("guidance_scale", 100)] | None = None
    strength: Annotated[float, bounds("strength")] | None = None
    # 32 bits, the range of the page's number field
    seed: Annotated[int, bounds("seed", 2**32 - 1)] = 0
    # more than the side of most photos
    padding_mask_crop: Annotated[int, bounds("padding_mask_crop", 10_000)] | None = None
    picture: Annotated[Id, Field(description="id of an uploaded picture")] | None = None
    # each candidate takes the time of a job, and its result is held in memory
    candidates: Annotated[int, bounds("candidates", 8)] = 1
    picture_placement: PlacementIn | None = None
    picture_cutout: Annotated[
        bool, Field(description="cut out what stands out in an opaque picture")
    ] = False
    fill_color: (
        Annotated[
            list[Byte],
            Field(min_length=3, max_length=3, description="red, green, blue of the fill solid"),
        ]
        | None
    ) = None
    picture_fit: PictureFit | None = None
    # the page shows and downloads opaque results
    background: (
        Annotated[
            str,
            Field(
                pattern="^(white|blur|#[0-9a-fA-F]{6})$",
                description="white, blur or #rrggbb: laid behind the object with invert",
            ),
        ]
        | None
    ) = None


class RequestIn(StrictModel):
    """Everything that determines a result, except the photo."""

    prompts: Prompts
    refine: RefineIn = RefineIn()
    fill: FillIn = FillIn()
    detector: ModelName = "auto"
    inpainter: ModelName = "auto"
    verify: bool = True
    # each attempt takes the time of a job; the command line has no maximum
    attempts: Annotated[int, bounds("attempts", 5)] = 2

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that the client sent, as ``request.from_json`` takes them."""
        return self.model_dump(exclude_unset=True)


class FindIn(StrictModel):
    """Objects to find. Of several calls with the same ``slot``, only the newest is answered."""

    prompts: Prompts
    detector: ModelName = "auto"
    edge_refine: bool = True
    slot: Annotated[str, Field(max_length=40)] = ""


class OutlineIn(StrictModel):
    """Masks by their ids, and how to refine them. ``exclude`` are pixels [x, y] to leave out.

    ``replace`` doubles the automatic dilation, as a replacement by a prompt does. Likely shadows
    are a part, but not of text and faces (``flat``), with an ``inpainter`` that obscures, or where
    a prompt or a ``picture`` replaces the object.
    """

    masks: Annotated[list[Id], Field(min_length=1, max_length=200)]
    refine: RefineIn = RefineIn()
    exclude: Pixels = []
    replace: bool = False
    picture: bool = False
    inpainter: ModelName = "auto"
    flat: bool = False


class StrokeIn(StrictModel):
    """A stroke of a round brush along points [x, y], in photo px."""

    points: Annotated[list[ExactPoint], Field(min_length=1, max_length=5000)]
    radius: Annotated[float, Field(gt=0, le=5000)]
    erase: bool = False


class StrokesIn(StrictModel):
    """Strokes to draw into a copy of a mask, or into an empty mask."""

    mask: Id | None = None
    strokes: Annotated[list[StrokeIn], Field(min_length=1, max_length=500)]


class ResultIn(StrictModel):
    """A result, and the index of one of its candidates; the best is 0."""

    result: Id
    candidate: Annotated[int, Field(ge=0, le=31)] = 0


class ZipIn(StrictModel):
    """Results to download together."""

    results: Annotated[list[ResultIn], Field(min_length=1, max_length=200)]


class DownloadIn(StrictModel):
    """The licence on the model's card, which the user has seen and agreed to."""

    licence: Annotated[str, Field(max_length=200)]
