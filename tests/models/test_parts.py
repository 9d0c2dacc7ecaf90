"""Reconstructors and heads by name, for the task of the data."""

import pytest
import torch

from sure_pyro.models import SeparateScale
from sure_pyro.models.heads import HEADS, Head
from sure_pyro.models.parts import (
    HEAD_OF_TASK,
    RECONSTRUCTORS,
    check_choice,
    head_for,
    make_head,
    make_reconstructor,
)

SHAPES = {"image": (1, 3), "text": (2, 4)}


def settings(**changes):
    options = {"reconstructor_options": {}, "separate_scale": False, "head": "gaussian"}
    return {"reconstructor": "masked", **options, **changes}


@pytest.mark.parametrize("name", RECONSTRUCTORS)
def test_a_reconstructor_is_of_the_kind_that_its_name_says(name):
    made = make_reconstructor(settings(reconstructor=name), SHAPES)
    assert type(made) is RECONSTRUCTORS[name]
    values = {n: torch.zeros(5, L, D) for n, (L, D) in SHAPES.items()}
    seen = {n: torch.ones(5, L, dtype=torch.bool) for n, (L, _) in SHAPES.items()}
    assert {n: r.loc.shape for n, r in made(values, seen).items()} == {
        n: z.shape for n, z in values.items()
    }


@pytest.mark.parametrize("name", RECONSTRUCTORS)
def test_location_and_scale_have_networks_of_their_own_where_they_are_trained(name):
    made = make_reconstructor(settings(reconstructor=name, separate_scale=True), SHAPES)
    kind = RECONSTRUCTORS[name]
    assert isinstance(made, SeparateScale) == (kind.trained and not kind.halves)
    assert made.halves == kind.trained


def test_options_reach_the_reconstructor():
    narrow, wide = (
        make_reconstructor(settings(reconstructor_options={"width": width}), SHAPES)
        for width in (8, 32)
    )
    count = [sum(p.numel() for p in made.parameters()) for made in (narrow, wide)]
    assert count[0] < count[1]


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_of_the_kind_that_its_name_says(name):
    made = make_head(settings(head=name), 6, 3)
    assert type(made) is HEADS[name]
    assert isinstance(made, Head)
    assert made(torch.zeros(2, 6)).mean.shape == (2, 3)


@pytest.mark.parametrize("task", HEAD_OF_TASK)
def test_the_head_that_fits_is_for_that_task(task):
    assert HEADS[head_for(task, None)].task == task
    assert head_for(task, HEAD_OF_TASK[task]) == HEAD_OF_TASK[task]


def test_a_head_for_another_task_is_refused():
    with pytest.raises(ValueError, match=r"head='gaussian' .* task 'classification': use 'categ"):
        head_for("classification", "gaussian")
    with pytest.raises(ValueError, match=r"head='categorical' .* task 'regression': use 'gaussian"):
        head_for("regression", "categorical")
    assert head_for("multilabel", "bernoulli") == "bernoulli"


def test_a_choice_that_there_is_not():
    with pytest.raises(ValueError, match=r"`fill` must be one of \['a', 'b'\]; got 'c'"):
        check_choice("fill", "c", ("a", "b"))
    check_choice("fill", "b", ("a", "b"))
