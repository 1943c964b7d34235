"""Checkpoints of SAM: sizes, formats, and files that are something else."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import save_file
from segment_anything import sam_model_registry

from segment2inpaint.detect.sam.checkpoint import PIXEL_MEAN, build, read
from segment2inpaint.detect.sam.original import SamDetector
from segment2inpaint.errors import BadModel, BadOption


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_model_is_built_from_the_shapes_of_its_weights(tmp_path: Path, suffix: str) -> None:
    built = build(read(tiny.save_sam(tmp_path, suffix)), tmp_path)
    original = tiny.sam()
    assert str(built) == str(original)
    pixels = torch.rand(1, 3, 256, 256) * 255
    with torch.inference_mode():
        expected = original.image_encoder(original.preprocess(pixels))
        got = built.image_encoder(built.preprocess(pixels))
    assert torch.equal(got, expected)


@pytest.mark.parametrize("size", ["vit_b", "vit_l", "vit_h"])
def test_models_of_the_published_sizes_are_those_of_segment_anything(size: str) -> None:
    """Without their weights: equal layers, windows and heads."""
    with torch.device("meta"):
        theirs = sam_model_registry[size]()
    ours = build(theirs.state_dict(), Path(size))
    assert str(ours) == str(theirs)
    for a, b in zip(ours.image_encoder.blocks, theirs.image_encoder.blocks, strict=True):
        assert (a.window_size, a.attn.num_heads) == (b.window_size, b.attn.num_heads)
    assert ours.image_encoder.img_size == 1024
    assert torch.equal(ours.pixel_mean.flatten(), torch.tensor(PIXEL_MEAN))


def test_checkpoints_of_training_programs_are_read(tmp_path: Path) -> None:
    """With a wrapper, saved from several GPUs, in half precision."""
    weights = {f"module.{k}": v.half() for k, v in tiny.sam().state_dict().items()}
    torch.save({"model": weights, "epoch": 3}, tmp_path / "trained.pth")
    assert str(build(read(tmp_path / "trained.pth"), tmp_path)) == str(tiny.sam())


def test_the_format_of_transformers_gives_the_same_masks(tmp_path: Path) -> None:
    """From one file, both libraries agree on logits and scores."""
    theirs = tiny.sam_of_transformers()
    theirs.save_pretrained(tmp_path)
    ours = build(read(tmp_path), tmp_path)
    pixels = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    point = torch.tensor([[[100.0, 60.0]]])
    with torch.inference_mode():
        expected = theirs(pixel_values=pixels, input_points=point[None], multimask_output=True)
        features = ours.image_encoder(pixels)
        sparse, dense = ours.prompt_encoder((point, torch.ones(1, 1)), None, None)
        logits, scores = ours.mask_decoder(
            features, ours.prompt_encoder.get_dense_pe(), sparse, dense, True
        )
    assert torch.allclose(logits, expected.pred_masks[0], atol=1e-4)
    assert torch.allclose(scores, expected.iou_scores[0], atol=1e-4)


def bad_files(folder: Path) -> dict[str, Path]:
    """Write files that are not checkpoints of SAM, and return them by name."""
    complete = tiny.save_sam(folder)
    cut = folder / "cut.safetensors"
    cut.write_bytes(complete.read_bytes()[:50_000])
    torch.save({"model": Namespace(a=1)}, folder / "code.pth")
    (folder / "text.pth").write_text("not a checkpoint")
    save_file({"image_encoder.trunk.a": torch.zeros(1)}, folder / "sam2.safetensors")
    save_file({"weight": torch.zeros(1)}, folder / "other.safetensors")
    weights = tiny.sam().state_dict()
    del weights["mask_decoder.iou_token.weight"]
    save_file(weights, folder / "lacking.safetensors")
    (folder / "empty").mkdir()
    paths = [cut, *folder.glob("*.pth"), *folder.glob("[!s]*.safetensors"), folder / "empty"]
    return {path.name: path for path in [*paths, folder / "sam2.safetensors", folder / "none.pth"]}


def test_other_files_are_refused_in_one_line_with_their_name(tmp_path: Path) -> None:
    files = bad_files(tmp_path)
    assert len(files) == 8
    for path in files.values():
        with pytest.raises(BadModel) as caught:
            SamDetector(path, "cpu")
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_sam2_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"expected a checkpoint of SAM .* got SAM 2"):
        SamDetector(bad_files(tmp_path)["sam2.safetensors"], "cpu")


def test_missing_devices_are_refused(tmp_path: Path) -> None:
    checkpoint = tiny.save_sam(tmp_path)
    with pytest.raises(BadOption, match=r"expected auto or one of .*cpu"):
        SamDetector(checkpoint, "cuda:7")
