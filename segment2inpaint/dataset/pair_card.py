"""The dataset card of training pairs: ``README.md`` with the metadata that the Hugging Face Hub
reads.
"""

from __future__ import annotations

from collections.abc import Mapping

from segment2inpaint.dataset.pair_files import NUMBERS, PICTURES, TEXTS
from segment2inpaint.dataset.run_types import RunSettings, package_version

_COLUMNS = {
    "photo": "the photo before the edit, as its file is",
    "mask": "the objects, as they were found or given: 255 on the object, 0 elsewhere",
    "effect_mask": "all pixels that were repainted: the objects, their shadows and mirror images "
    "where they were removed too, and the margin; grey values are the share of the new pixel",
    "result": "the photo after the edit; it equals the photo where `effect_mask` is 0",
    "name": "the name of the result",
    "task": "`remove` or `replace`",
    "prompt": "what was to be painted; empty in a removal",
    "label": "the names of the objects, where the source has some",
    "verdict": "what the automatic check says: `clean`, `doubtful` or `failed`; empty if the "
    "result was not verified",
    "checks": "the score of each check as JSON, 0 to 1; high is bad",
    "objects": "the number of objects",
    "changed_outside": "the number of pixels that changed where `effect_mask` is 0, as the file is "
    "read back",
    "detector": "what found the objects",
    "inpainter": "what painted",
    "request": "everything that determined the result, as JSON: a list with one request for each "
    "object",
    "photo_sha256": "the SHA-256 digest of the photo's file",
    "version": "the version of segment2inpaint",
}

_TEXT = """# Photos with their masks and results

{count} photos, each with the mask of its objects and the result of an edit by segment2inpaint
{version}{command}.

{usage}

## Columns

{columns}

## Verdicts

{verdicts}

The verdicts are automatic and sometimes wrong. For training, keep the samples with the verdict
`clean`, and look at some of them.

## Before you share this

- The results were painted by a model. They are not photographs of the place without the object.
- The photos keep the metadata of their files, which may say where and when they were taken.
- Masks and results are upright. Programs that ignore the EXIF orientation of `photo` must apply it
  first.
- The licence is that of the photos, and of the model that painted. Add it here.
"""

_USAGE = {
    "hf": """```python
from datasets import load_dataset

pairs = load_dataset("path/to/this/folder", split="train")
```""",
    "webdataset": """```python
import webdataset

pairs = webdataset.WebDataset("path/to/this/folder/train-000000.tar", shardshuffle=False)
```

Each sample has the files `KEY.photo.*`, `KEY.mask.png`, `KEY.effect_mask.png`, `KEY.result.*` and
`KEY.json`, which holds the other columns.""",
}


def dataset_card(settings: RunSettings, verdicts: Mapping[str, int]) -> str:
    """Return the card of the pairs; ``verdicts`` are their numbers by verdict."""
    count = sum(verdicts.values())
    text = _TEXT.format(
        count=count,
        version=package_version(),
        command=f", with the command `{settings.command}`" if settings.command else "",
        usage=_USAGE[settings.pairs],
        columns=_table(("column", "content"), _COLUMNS),
        verdicts=_table(("verdict", "photos"), {k: str(n) for k, n in sorted(verdicts.items())}),
    )
    return f"---\n{_metadata(settings.pairs, count)}---\n\n{text}"


def _table(head: tuple[str, str], rows: Mapping[str, str]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{key}` | {value} |" for key, value in rows.items())])


def _metadata(kind: str, count: int) -> str:
    """Return the block at the top of the card, as YAML."""
    import yaml

    path = "data/train-*.parquet" if kind == "hf" else "train-*.tar"
    data: dict[str, object] = {
        "pretty_name": "Photos with their masks and results",
        "task_categories": ["image-to-image", "mask-generation"],
        "tags": ["inpainting", "object-removal", "segment2inpaint"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": path}]}],
    }
    if kind == "hf":
        kinds = {**dict.fromkeys(PICTURES, "image"), **dict.fromkeys(TEXTS, "string"),
                 **dict.fromkeys(NUMBERS, "int64")}  # fmt: skip
        data["dataset_info"] = {
            "features": [{"name": name, "dtype": dtype} for name, dtype in kinds.items()],
            "splits": [{"name": "train", "num_examples": count}],
        }
    return str(yaml.safe_dump(data, sort_keys=False))
