import pytest

from sure_pyro.comparison import Recipe
from sure_pyro.comparison.recipe import Built, Filling, Fitted, recipe, resolve


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sure", Recipe("sure")),
        ("beta-nll+kendall", Recipe("beta-nll+kendall")),
        ("laplace", Recipe(guide="laplace")),  # the guide; the likelihood is "laplace/map"
        ("laplace/map", Recipe("laplace", "map")),
        ("elbo/swag", Recipe("elbo", "swag")),
        ("gaussian", Recipe(reconstructor="gaussian")),
        ("mean", Filling("mean")),
    ],
)
def test_names(name, expected):
    assert recipe(name) == expected


def test_the_point_estimate_is_shared_by_all_that_follows_it():
    guided = Recipe(guide="laplace", guide_options={"over": ("head",)}, fit={"epochs": 3})
    assert guided.point() == Recipe(fit={"epochs": 3})
    assert guided.point().settings() != Recipe(fit={"epochs": 4}).settings()


def test_specifications_by_what_is_given():
    model = type("Model", (), {"predict": None})()
    found = resolve({"a": "zero", "b": len, "c": model, "d": {0: model}, "e": Filling()})
    assert [type(spec) for spec in found.values()] == [Filling, Built, Fitted, Fitted, Filling]
    assert found["d"].of_seed(0) is model
    with pytest.raises(ValueError, match=r"no fitted model of seed 1, only \[0\]"):
        found["d"].of_seed(1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Recipe("nothing"), "`objective` must be"),
        (lambda: Recipe(guide="nothing"), "`guide` must be one of"),
        (lambda: Filling("one"), "`fill` must be one of"),
        (lambda: recipe("elbo/nothing"), "There is no model 'elbo/nothing'"),
    ],
)
def test_wrong_names(make, words):
    with pytest.raises(ValueError, match=words):
        make()
