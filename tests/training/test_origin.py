"""What a run is told apart by: every entry of the data, and what an objective does."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import sure_pyro as sp
from sure_pyro.objectives import CorrelationELBO, Faithful, Pinball, StudentTNLL, preset
from sure_pyro.training.origin import (
    differences,
    of_data,
    of_objective,
    other_objective,
)

WORDS = {"ids": torch.arange(1, 13).reshape(4, 3), "scores": torch.rand(4, 3)}
LENGTHS = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]]).bool()


def batch(**changes):
    """A vector that is partly recorded, and a padded text of two fields."""
    recorded = torch.ones(4, 2, dtype=torch.bool)
    recorded[3, 1] = False
    fields = {
        "features": {"image": torch.ones(4, 2), "text": WORDS},
        "available": torch.tensor([[1, 1], [1, 1], [0, 1], [1, 1]]).bool(),
        "target": torch.tensor([0, 1, 1, 0]),
        "recorded": {"image": recorded},
        "padding": {"text": LENGTHS},
        "class_names": ("cat", "dog"),
    }
    return sp.Batch(**{**fields, **changes})


def apart(a, b):
    return differences(of_data(a), of_data(b))


def test_the_same_data_are_the_same_whatever_lies_under_a_mask():
    features = {"image": torch.ones(4, 2), "text": {k: x.clone() for k, x in WORDS.items()}}
    features["image"][2] = 1e30
    features["text"]["ids"][2, 1:] = 7
    assert apart(batch(), batch(features=features)) == []


@given(st.sampled_from([(0, 0), (1, 1), (3, 0)]))
def test_one_value_of_a_vector_is_told(entry):
    image = torch.ones(4, 2)
    image[entry] += 1e-6
    changed = batch(features={"image": image, "text": WORDS})
    assert apart(batch(), changed) == ["other values of 'image'"]


def test_one_value_of_a_field_is_told():
    scores = WORDS["scores"].clone()
    scores[1, 0] += 1e-3
    text = {**WORDS, "scores": scores}
    changed = batch(features={"image": torch.ones(4, 2), "text": text})
    assert apart(batch(), changed) == ["other values of 'text/scores'"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"available": torch.tensor([[1, 1], [1, 1], [1, 1], [1, 1]]).bool()}, "other `available`"),
        ({"recorded": {}}, "other `recorded` of 'image'"),
        ({"padding": {"text": LENGTHS.flip(0)}}, "other `padding` of 'text'"),
        ({"target": torch.tensor([0, 1, 1, 1])}, "other targets"),
        ({"class_names": ("cat", "owl")}, "classes ['cat', 'dog'], now ['cat', 'owl']"),
        (
            {"target": torch.rand(4), "class_names": None, "task": "regression"},
            "task 'classification', now 'regression'",
        ),
    ],
)
def test_masks_targets_and_classes_are_told(change, told):
    assert told in apart(batch(), batch(**change))


def test_of_other_rows_or_shapes_only_that_is_told():
    assert apart(batch(), batch()[:3]) == ["rows 4, now 3"]
    wide = {"image": torch.ones(4, 5), "text": WORDS}
    found = apart(batch(), batch(features=wide, recorded={}))
    assert found == ["shape of values of 'image' [2], now [5]"]


# -- objectives -----------------------------------------------------------------------------------


def said(name, *parts):
    return of_objective(name, *parts)


@pytest.mark.parametrize("name", ["elbo", "sure", "faithful:student-t+pcc", "pinball+kendall"])
def test_an_objective_by_name_is_itself_and_no_other(name):
    own = said(name, *preset(name))
    assert other_objective(own, said(name, *preset(name))) == []
    assert other_objective(own, said("crps", *preset("crps"))) == [
        f"objective {name!r}, now 'crps'"
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weight": 0.5}, "weight 1.0, now 0.5"),
        ({"statistic": "spearman"}, "statistic 'pearson', now 'spearman'"),
        ({"sites": ["y"]}, "sites None, now ['y']"),
        ({"error": "absolute"}, "pairing: error 'squared', now 'absolute'"),
        ({"memory": 7}, "memory 0, now 7"),
        ({"detach_error": False}, "detach_error True, now False"),
        ({"num_particles": 2}, "num_particles 1, now 2"),
    ],
)
def test_every_option_of_the_correlation_is_told(changes, told):
    plain = preset("elbo")[1]
    before = said(None, CorrelationELBO(), plain)
    now = said(None, CorrelationELBO(**changes), plain)
    assert other_objective(before, now) == [f"objective: {told}"]


def test_where_an_objective_stands_is_no_part_of_what_it_is():
    used = CorrelationELBO(memory=5)
    used.progress, used.max_plate_nesting = 0.7, 2
    used.terms["elbo"] = torch.ones(())
    plain = preset("elbo")[1]
    assert said(None, used, plain) == said(None, CorrelationELBO(memory=5), plain)


def test_a_handler_is_what_it_makes():
    def score(handler):
        return said(None, CorrelationELBO(0.0), handler)

    assert score(partial(StudentTNLL, 3.0)) == score(lambda: StudentTNLL(df=3.0))
    assert score(Pinball) != score(lambda: Pinball(levels=(0.5,)))
    inside = (score(partial(Faithful, partial(StudentTNLL, df))) for df in (3.0, 4.0))
    assert other_objective(*inside) == ["objective: score: score: df 3.0, now 4.0"]


def test_a_schedule_is_what_it_does():
    def ramp(rate):
        return said(None, CorrelationELBO(schedule=lambda t: min(1.0, rate * t)), preset("elbo")[1])

    assert ramp(2.0) == ramp(2.0)
    assert other_objective(ramp(2.0), ramp(3.0))[0].startswith("objective: schedule '<lambda> (")
