"""Targets follow the names of their classes; what has no counterpart is refused by name."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import sure_pyro as sp
from sure_pyro.data.classes import aligned

NAMES = ("cat", "dog", "owl")


def rows(target, names=None, **options):
    x = {"a": torch.arange(2.0 * len(target)).reshape(-1, 2)}
    return sp.from_arrays(x, target, class_names=names, **options)


def by_model(batch, names=NAMES, task="classification", **options):
    return aligned(batch, task=task, names=names, outputs=len(names), **options)


def words(batch):
    return [batch.class_names[k] for k in batch.target.tolist()]


@given(st.permutations(NAMES), st.data())
def test_any_order_and_any_part_of_the_classes_keeps_its_words(order, data):
    own = tuple(order[: data.draw(st.integers(1, 3))])
    target = data.draw(st.lists(st.integers(0, len(own) - 1), min_size=1, max_size=8))
    batch = rows(torch.tensor(target), own)
    found = by_model(batch)
    assert words(found) == words(batch)
    assert found.class_names == NAMES
    assert all(torch.equal(found.features[n], x) for n, x in batch.features.items())


def test_what_fits_is_the_same_object():
    batch = rows(torch.tensor([0, 2]), NAMES)
    assert by_model(batch) is batch
    numbers = rows(torch.tensor([0, 2]))
    assert aligned(numbers, task="classification", outputs=3) is numbers


def test_numbers_are_names_too():
    batch = rows(torch.tensor([0, 1]))  # two classes of three that a model knows
    found = by_model(batch, ("0", "1", "2"))
    assert found.target.tolist() == [0, 1]
    assert by_model(batch, ("1", "0")).target.tolist() == [1, 0]


def test_an_unknown_class_is_refused_by_its_name():
    batch = rows(torch.tensor([0, 1, 1]), ("dog", "wolf"))
    with pytest.raises(
        ValueError, match=r"`new` must have the class_names of the model, \('cat'"
    ) as e:
        by_model(batch, argument="new")
    assert "got ('dog', 'wolf'), with rows of classes that are unknown there: 2 of 'wolf'" in str(
        e.value
    )
    assert "Correct the names" in str(e.value)


def test_an_unknown_class_without_rows_does_no_harm():
    batch = rows(torch.tensor([0, 0]), ("dog", "wolf"))
    assert by_model(batch).target.tolist() == [1, 1]


@pytest.mark.parametrize(("own", "known"), [(None, NAMES), (NAMES, ("0", "1", "2"))])
def test_names_against_plain_numbers_are_refused_with_what_to_do(own, known):
    batch = rows(torch.tensor([0, 1, 2]), own)
    with pytest.raises(ValueError, match=r"names stand against plain numbers.*class_names=\.\.\."):
        by_model(batch, known)
    assert by_model(batch.replace(class_names=known), known).target.tolist() == [0, 1, 2]


def labels(names, columns=3):
    y = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 1]])[:, :columns]
    return rows(y, names, task="multilabel")


def test_labels_follow_their_names():
    found = by_model(labels(("owl", "cat", "dog")), task="multilabel")
    assert found.class_names == NAMES
    assert found.target.tolist() == [[0, 0, 1], [1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize(
    ("own", "text"),
    [
        (("cat", "owl"), r"labels of the model, .* without \['dog'\]\."),
        (("cat", "dog", "wolf"), r"without \['owl'\] and with unknown \['wolf'\]"),
        (None, r"names stand against plain numbers"),
    ],
)
def test_a_label_that_lacks_or_is_unknown_is_refused(own, text):
    with pytest.raises(ValueError, match=text):
        by_model(labels(own, 3 if own is None else len(own)), task="multilabel")


def test_labels_without_names_must_be_as_many():
    batch = labels(None)
    assert aligned(batch, task="multilabel", outputs=3) is batch
    with pytest.raises(ValueError, match="must have the 4 outputs of the model; its target has 3"):
        aligned(batch, task="multilabel", outputs=4)


def test_values_must_be_as_many():
    batch = rows(torch.tensor([[0.5, 1.0], [0.1, 2.0]]))
    assert aligned(batch, task="regression", outputs=2) is batch
    with pytest.raises(
        ValueError, match="`batch` must have the 3 outputs of the model; its target has 2"
    ):
        aligned(batch, task="regression", outputs=3)


def test_another_task_and_no_targets_are_refused():
    with pytest.raises(
        ValueError, match=r"`v` must have the task of `train`, 'regression'; got 'class"
    ):
        aligned(
            rows(torch.tensor([0, 1])), task="regression", outputs=1, argument="v", whose="`train`"
        )
    with pytest.raises(ValueError, match="`v` has no targets"):
        aligned(
            rows(torch.tensor([0, 1])).replace(target=None, task=None, class_names=None),
            task="regression",
            outputs=1,
            argument="v",
        )
