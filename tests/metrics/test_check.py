"""What the annotations refuse first while testing, and users see from here."""

import numpy as np
import pytest

from sure_pyro.metrics import check


def test_numbers_become_float64():
    for dtype in (np.float32, np.float64, np.int64, bool):
        assert check.numbers("u", np.ones(3, dtype=dtype)).dtype == np.float64
    assert check.numbers("u", [1, 2]).tolist() == [1, 2]


def test_wrong_axes_types_and_values_are_named():
    with pytest.raises(ValueError, match=r"`sigma` needs 2 axes; got shape \(10,\)"):
        check.numbers("sigma", np.ones(10), (2,))
    with pytest.raises(ValueError, match=r"`mean` needs 1 or 2 axes; got shape \(1, 1, 1\)"):
        check.numbers("mean", np.ones((1, 1, 1)), (1, 2))
    with pytest.raises(TypeError, match="`u` needs numbers; got dtype <U1"):
        check.numbers("u", np.array(["a"]))
    with pytest.raises(ValueError, match=r"in 2 rows \(first: \[0, 2\]\); leave out rows"):
        check.numbers("u", np.array([[np.nan, np.inf], [1, 1], [1, np.nan]]), (2,))
    with pytest.raises(TypeError, match="`label` needs integer classes; got dtype float64"):
        check.labels("label", np.ones(2), 2, 3)


def test_patterns_are_strings_or_integers():
    assert check.keys("pattern", np.array(["a", "b"], dtype=object), 2).dtype.kind == "U"
    assert check.keys("pattern", [1, 2], 2).tolist() == [1, 2]
    with pytest.raises(TypeError, match="`pattern` needs strings or integers; got dtype float64"):
        check.keys("pattern", np.ones(2), 2)
