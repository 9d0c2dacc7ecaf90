"""Fixed patterns."""

import pytest

from sure_pyro.data import missing
from sure_pyro.data.patterns import mask_patterns
from tests.data.strategies import small_batch


def test_only_what_is_named_stays():
    assert set(mask_patterns(missing.pattern(small_batch(), ["s"]))) == {"s"}
    assert set(mask_patterns(missing.pattern(small_batch(), "s"))) == {"s"}
    assert mask_patterns(missing.pattern(small_batch(), ["s", "v"])) == ["v+s", "s", "v+s", "v+s"]


def test_rows_that_have_none_of_it():
    with pytest.raises(ValueError, match=r"None of \['v'\] is available in row 1 \(1 of 4\)"):
        missing.pattern(small_batch(), ["v"])
    emptied = missing.pattern(small_batch(), ["v"], keep_one=False)
    assert mask_patterns(emptied) == ["v", "nothing", "v", "v"]


def test_unknown_modality():
    with pytest.raises(ValueError, match=r"`keep` names the modalities \['text'\]"):
        missing.pattern(small_batch(), ["text"])
