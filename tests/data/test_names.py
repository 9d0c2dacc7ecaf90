"""Names that the library uses itself are refused when a batch is built, at every door."""

import numpy as np
import pandas as pd
import pytest
import torch

from sure_pyro.data import Batch, from_arrays, from_dataframe, load_npz, save_npz
from sure_pyro.data.names import RESERVED, SUFFIXES, check_modality_names
from sure_pyro.propagation.moments import RESERVED as TAKEN_BY_MOMENTS


@pytest.mark.parametrize("name", RESERVED)
def test_a_taken_name_is_refused_with_another_to_use(name, tmp_path):
    x = {name: np.ones((2, 1)), "other": np.ones((2, 1))}
    text = f"called '{name}': the library uses it for .* for instance '{name}_input'"
    with pytest.raises(ValueError, match=text):
        from_arrays(x)
    with pytest.raises(ValueError, match=text):
        Batch({name: torch.ones(2, 1)})
    with pytest.raises(ValueError, match=text):
        from_dataframe(pd.DataFrame({"c": [1.0, 2.0]}), {name: ["c"]})
    assert from_arrays({f"{name}_input": np.ones((2, 1))}).modalities == (f"{name}_input",)


def test_whatever_propagation_reserves_is_refused_here():
    assert set(TAKEN_BY_MOMENTS) <= set(RESERVED)


@pytest.mark.parametrize(
    ("names", "error", "text"),
    [
        (["a+b"], ValueError, r"called 'a\+b': '\+' joins the modalities .* for instance 'a_b'"),
        (["a/b"], ValueError, "called 'a/b': '/' parts names .* for instance 'a_b'"),
        (["padding:a"], ValueError, "files use 'padding:' .* for instance 'padding_a'"),
        (["a", "a_unobserved"], ValueError, "calls something of 'a' so. .*'a_unobserved_input'"),
        ([""], TypeError, "Modality names must be non-empty strings; got ''"),
        ([" "], TypeError, "non-empty strings; got ' '"),
        ([3], TypeError, "non-empty strings; got 3. For instance '3'"),
        ([("a", "b")], TypeError, r"non-empty strings; got \('a', 'b'\)"),
        ([None], TypeError, "non-empty strings; got None"),
    ],
)
def test_names_that_would_mean_two_things(names, error, text):
    with pytest.raises(error, match=text):
        check_modality_names(names)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_ending_alone_is_no_harm(suffix):
    check_modality_names([f"a{suffix}", "b"])
    with pytest.raises(ValueError, match="the library calls something of 'a' so"):
        check_modality_names([f"a{suffix}", "a"])


def test_every_other_name_works_everywhere(tmp_path):
    names = ["Head", "image.left", "ü 1", "x:y", "a|b", "head_pose", "keys", "training"]
    batch = from_arrays({name: np.ones((2, 1), np.float32) for name in names})
    save_npz(tmp_path / "x.npz", batch)
    assert load_npz(tmp_path / "x.npz").modalities == tuple(names)
    assert all(name in repr(batch) for name in names)
