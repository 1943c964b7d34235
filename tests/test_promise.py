"""Promise 2, with every inpainter that needs no download, on any photo and mask."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import FakeDetector, masks, photos
from hypothesis import given, settings
from hypothesis import strategies as st

from segment2inpaint import images, inpaint
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.types import BinaryMask


@pytest.mark.parametrize("name", ["exemplar", "telea", "ns", "blur", "pixelate", "solid"])
@settings(max_examples=15)
@given(data=st.data(), mask=masks(side=40))
def test_nothing_changes_outside(name: str, data: st.DataObject, mask: BinaryMask) -> None:
    """In the array, and in the file that is read back."""
    photo = images.photo_from_array(data.draw(photos(*mask.shape)))
    result = Pipeline(FakeDetector(mask), inpaint.load(name))(photo, [])
    assert result.changed_outside == 0
    again = images.read(images.encode(photo, result.image, result.alpha)).image
    outside = result.alpha == 0
    assert (again[outside] == photo.image[outside]).all()
    assert (again == np.where(outside[..., None], photo.image, result.image)).all()
