"""Rows are read in order: an index that says otherwise is refused."""

import numpy as np
import pandas as pd
import pytest

from sure_pyro.data import from_arrays

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=["r", "s", "t"])
Y = pd.Series([0, 1, 0], index=["r", "s", "t"])


@pytest.mark.parametrize(
    "other", [Y, Y.to_numpy(), Y.reset_index(drop=True), Y.set_axis([0, 0, 1])]
)
def test_the_same_order_or_none_is_fine(other):
    assert from_arrays({"x": FRAME}, other).target.tolist() == [0, 1, 0]


def test_another_order_of_the_same_labels_is_refused():
    turned = Y.iloc[::-1]
    with pytest.raises(
        ValueError, match="index of 'target' has the labels of 'x' in another order"
    ):
        from_arrays({"x": FRAME}, turned)
    with pytest.raises(ValueError, match="index of 'z' has the labels of 'x'"):
        from_arrays({"x": FRAME, "z": FRAME.iloc[::-1]})
    with pytest.raises(ValueError, match="index of 'z.f' has the labels of 'x'"):
        from_arrays({"x": FRAME, "z": {"f": FRAME.iloc[[1, 0, 2]]}})
    with pytest.raises(ValueError, match="index of 'group'"):
        from_arrays({"x": FRAME, "z": np.ones((3, 1))}, Y, group=turned)
