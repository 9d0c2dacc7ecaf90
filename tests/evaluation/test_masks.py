import numpy as np
import pytest

from sure_pyro.data import missing
from sure_pyro.evaluation.masks import named_masks


def test_each_mask_is_a_block_with_its_name(parts):
    test = missing.mcar(parts[2], 0.2, seed=5)
    masks = {"none": lambda b, seed: b, "one": lambda b, seed: missing.hide_exactly(b, 1, seed)}
    masked = named_masks(test, masks, seed=3)
    R = len(test)
    assert masked.names.tolist() == ["none"] * R + ["one"] * R
    assert (masked.hidden[:R] == 0).all()  # truly absent is not hidden
    np.testing.assert_array_equal(masked.row, [*range(R), *range(R)])
    expected = missing.hide_exactly(test, 1, 3).available
    assert (masked.batch.available[R:] == expected).all()


def test_masks_that_change_the_rows_or_bring_something_back(parts):
    test = parts[2]
    gappy = missing.hide_exactly(test, 1, 0)
    with pytest.raises(ValueError, match=r"`masks\['few'\]` must return the"):
        named_masks(test, {"few": lambda b, seed: b[:3]}, 0)
    with pytest.raises(ValueError, match="made modalities available"):
        named_masks(gappy, {"back": lambda b, seed: test}, 0)
