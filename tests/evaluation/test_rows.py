"""Classes and labels go by their names, wherever a model or a prediction meets rows."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

import sure_pyro as sp
from sure_pyro.evaluation.rows import rows_for, rows_of
from tests.calibration.conftest import stretched
from tests.models.conftest import make_batch, make_model

NAMES = ("cat", "dog", "owl")
ORDERS = [("dog", "owl"), ("owl", "dog"), ("owl", "cat", "dog"), ("wolf", "dog", "owl")]


@pytest.fixture(scope="module")
def world():
    """A model that knows three classes, and rows of two of them numbered as the model does."""
    torch.set_num_threads(1)
    train = make_batch(120, 1, missing=False).replace(class_names=NAMES)
    rows = stretched(make_batch(160, 2, missing=False)).replace(class_names=NAMES)
    return make_model(train), rows[rows.target > 0]


def as_in_another_file(rows, names):
    """The same rows, numbered as a file with these classes would."""
    number = {name: k for k, name in enumerate(names)}
    target = [number[rows.class_names[k]] for k in rows.target.tolist()]
    return rows.replace(target=torch.tensor(target), class_names=names)


def recalibrated(model, rows):
    return sp.recalibrate(model, rows).predict(rows).probabilities["taylor"].numpy()


def updated(model, rows):
    half = rows[:40]
    after = sp.recalibrate(model, rows[40:]).update_online(half, step=0.001)
    return after.predict(rows).probabilities["taylor"].numpy()


def sets(model, rows):
    return sp.conformal(model, rows, 0.8).predict(model.predict(rows)).contains


def updated_sets(model, rows):
    fitted = sp.conformal(model, rows[40:], 0.8).update_online(model, rows[:40], step=0.01)
    return fitted.predict(model.predict(rows)).contains


def table(model, rows):
    return sp.calibration_table(model.predict(rows), rows, repetitions=0)["value"].to_numpy()


def deferred(model, rows):
    policy = sp.DeferralPolicy.fit(model, rows, budget=0.3)
    prediction = model.predict(rows)
    report = policy.compare(prediction, rows).select_dtypes("number").to_numpy(dtype=float)
    return np.append(report.ravel(), policy.decide(prediction).accept)


def exported(model, rows):
    idata = sp.to_arviz(model.predict(rows), rows, num_draws=8)
    return np.stack([idata.observed_data.y, idata.constant_data.log_predictive])


DOORS = [recalibrated, updated, sets, updated_sets, table, deferred, exported]


@pytest.mark.parametrize("names", ORDERS, ids="-".join)
@pytest.mark.parametrize("door", DOORS, ids=lambda f: f.__name__)
def test_every_door_gives_what_it_gives_for_the_file_with_all_classes(world, door, names):
    model, rows = world
    np.testing.assert_array_equal(door(model, as_in_another_file(rows, names)), door(model, rows))


@pytest.mark.parametrize("door", DOORS, ids=lambda f: f.__name__)
def test_every_door_refuses_what_the_model_does_not_know(world, door):
    model, rows = world
    foreign = rows.replace(class_names=("cat", "wolf", "owl"))
    with pytest.raises(ValueError, match=r"must have the class_names of the model, .* of 'wolf'"):
        door(model, foreign)
    with pytest.raises(ValueError, match="names stand against plain numbers"):
        door(model, rows.replace(class_names=("0", "1", "2")))
    with pytest.raises(ValueError, match="must have the task of the model, 'classification'"):
        door(model, rows.replace(target=rows.target + 0.5, task="regression", class_names=None))


@pytest.mark.parametrize("door", DOORS[:-1], ids=lambda f: f.__name__)
def test_every_door_refuses_rows_without_targets(world, door):
    model, rows = world
    with pytest.raises(ValueError, match="`(validation|batch)` has no targets"):
        door(model, rows.replace(target=None, task=None, class_names=None))


def test_modalities_in_another_order_are_refused(world):
    model, rows = world
    turned = sp.from_arrays(
        dict(reversed(rows.features.items())), rows.target, class_names=rows.class_names
    )
    for fit in (sp.recalibrate, sp.conformal, lambda m, v: sp.DeferralPolicy.fit(m, v, budget=0.1)):
        with pytest.raises(ValueError, match="`validation` must have the modalities of the model"):
            fit(model, turned)
    with pytest.raises(ValueError, match="`batch` must have the modalities of the model"):
        sp.calibration_table(model.predict(rows), turned)


def test_a_model_that_is_not_fitted_is_said_to_be_so(world):
    _, rows = world
    empty = sp.SURE(sp.MLPBackbone.for_data(rows))
    for fit in (sp.recalibrate, sp.conformal, lambda m, v: sp.DeferralPolicy.fit(m, v, budget=0.1)):
        with pytest.raises(ValueError, match="The model is not fitted"):
            fit(empty, rows)


def test_latents_need_no_classes(world):
    model, rows = world
    foreign = rows.replace(class_names=("a", "b", "c"))
    assert sp.conformal_latents(model, foreign).fitted.keys() == set(rows.modalities)


def test_the_rows_of_a_file_read_alone(world):
    """As a user meets it: text labels, of which a held-out table happens to have two."""
    model, _ = world

    def load(words, names=None):
        frame = pd.DataFrame({"i": np.arange(4.0), "kind": words})
        return sp.from_dataframe(frame, {"image": ["i"]}, target="kind")

    held = load(["owl", "dog", "owl", "dog"])
    assert held.class_names == ("dog", "owl")
    found = sp.data.classes.aligned(held, task="classification", outputs=3, names=NAMES)
    assert found.target.tolist() == [2, 1, 2, 1]


# -- labels and values ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labelled(worlds):
    model, held, _ = worlds["multilabel"]
    model = copy.deepcopy(model)
    model.class_names = NAMES
    return model, held[:120].replace(class_names=NAMES)


@pytest.mark.parametrize("door", [recalibrated, updated, table, exported], ids=lambda f: f.__name__)
def test_labels_follow_their_names(labelled, door):
    model, rows = labelled
    turned = rows.replace(target=rows.target[:, [2, 0, 1]], class_names=("owl", "cat", "dog"))
    np.testing.assert_array_equal(door(model, turned), door(model, rows))
    fewer = rows.replace(target=rows.target[:, :2], class_names=("cat", "dog"))
    with pytest.raises(ValueError, match=r"must have the labels of the model, .*without \['owl'\]"):
        door(model, fewer)


def test_another_number_of_values_is_refused(worlds):
    model, held, _ = worlds["regression"]
    two = held.replace(target=torch.stack([held.target, held.target], 1))
    with pytest.raises(ValueError, match="must have the 1 outputs of the model; its target has 2"):
        rows_for(model, two)
    with pytest.raises(ValueError, match="must have the 1 outputs of the model; its target has 2"):
        rows_of(model.predict(two), two)


def test_the_rows_of_another_prediction_are_refused(world):
    model, rows = world
    with pytest.raises(ValueError, match="is not what the prediction was made with"):
        rows_of(model.predict(rows), rows[:-1])


def test_a_fit_refuses_the_prediction_of_another_model(world, worlds):
    model, rows = world
    other, held, _ = worlds["regression"]
    values, classes = other.predict(held[:20]), model.predict(rows[:20])
    with pytest.raises(
        ValueError, match="for classes or labels; this prediction is for regression"
    ):
        sp.conformal(model, rows).predict(values)
    with pytest.raises(ValueError, match="for regression; this prediction is for classification"):
        sp.conformal(other, held).predict(classes)
    with pytest.raises(
        ValueError, match="for classes or labels; this prediction is for regression"
    ):
        sp.DeferralPolicy.fit(model, rows, budget=0.3).decide(values)
    policy = sp.DeferralPolicy.fit(other, held, budget=0.3, tolerance=1.0)
    with pytest.raises(ValueError, match="for regression; this prediction is for classification"):
        policy.decide(classes)
    two = sp.DeferralPolicy(policy.thresholds, policy.static, "taylor", (1.0, 2.0))
    with pytest.raises(ValueError, match="tolerances of 2 outputs; this prediction has 1"):
        two.decide(values)


def test_intervals_of_latents_refuse_other_modalities(world):
    model, rows = world
    fitted = sp.conformal_latents(model, rows)
    features = {"sound": rows.features["image"], "text": rows.features["text"]}
    two = sp.from_arrays(features, rows.target, class_names=NAMES)
    with pytest.raises(ValueError, match=r"has no \['image', 'audio'\], only"):
        fitted.predict(make_model(two).predict(two))
