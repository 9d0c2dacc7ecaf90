"""Parts of a dataset, and models, that number their classes in different ways."""

import pytest
import torch

from sure_pyro.comparison import compare
from sure_pyro.comparison.data import resolve_data, rows

NAMES = ("cat", "dog", "owl", "yak")


def turned(part, names, order):
    """The same rows, with class k of `names` at another number."""
    number = torch.tensor([order.index(name) for name in names])
    return part.replace(target=number[part.target], class_names=order)


@pytest.fixture(scope="module")
def named(parts):
    names = NAMES[: len(parts[0].class_names)]
    return names, tuple(part.replace(class_names=names) for part in parts)


def test_all_parts_are_numbered_as_the_training_rows(named):
    names, (train, validation, test) = named
    other = turned(validation, names, names[::-1]), turned(test, names, names[::-1])
    found = rows(resolve_data((train, *other))["data"], "data", 0)
    assert torch.equal(found.validation.target, validation.target)
    assert torch.equal(found.test.target, test.target)
    assert found.test.class_names == names


def test_a_part_with_unknown_classes_is_refused(named):
    names, (train, validation, test) = named
    foreign = test.replace(class_names=tuple(f"no {name}" for name in names))
    with pytest.raises(ValueError, match="`test` must have the class_names of `train`"):
        rows(resolve_data((train, validation, foreign))["data"], "data", 0)


def test_a_fitted_model_is_scored_by_the_names_that_it_knows(model, parts):
    own = model.class_names
    other = tuple(turned(part, own, own[::-1]) for part in parts)
    options = {"seeds": 1, "progress_bar": False}
    expected = compare({"m": model}, parts, **options)
    found = compare({"m": model}, other, **options)
    for metric in ("score", "nll", "f1", "reconstruction_error"):
        assert found.values(metric)["m"][0] == expected.values(metric)["m"][0]
