import pyro
import pyro.distributions as dist
import pytest
import torch

from sure_pyro.objectives import (
    CORRELATIONS,
    SCORES,
    FixedScale,
    LaplaceNLL,
    Unchanged,
    concordance,
    pearson,
    preset,
    spearman,
)


def no_guide():
    pass


def model():
    y = torch.linspace(-1, 2, 20)
    with pyro.plate("rows", 20):
        pyro.sample("y", dist.Normal(0.0, torch.linspace(0.5, 1, 20)), obs=y)


def test_a_score_alone_has_no_correlation():
    elbo, handler = preset("laplace", weight=0.7)
    assert elbo.weight == 0.0
    assert handler is LaplaceNLL


@pytest.mark.parametrize(
    ("name", "handler", "statistic"),
    [
        ("elbo+pcc", Unchanged, pearson),
        ("sure", FixedScale, pearson),
        ("sure+pcc", FixedScale, pearson),
        ("sure+spearman", FixedScale, spearman),
        ("laplace+concordance", LaplaceNLL, concordance),
    ],
)
def test_a_score_and_a_correlation(name, handler, statistic):
    elbo, found = preset(name, weight=0.7)
    assert (elbo.weight, found, elbo.statistic) == (0.7, handler, statistic)


@pytest.mark.parametrize("score", [s for s in SCORES if s != "evidential"])
@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_every_name_of_the_grammar_gives_a_finite_loss(score, correlation):
    elbo, handler = preset(f"{score}+{correlation}")
    with handler():
        assert torch.as_tensor(elbo.differentiable_loss(model, no_guide)).isfinite()


@pytest.mark.parametrize("name", ["mse", "elbo+", "elbo+mse", "pcc", "+pcc", "elbo+pcc+pcc", ""])
def test_other_names_are_refused_with_the_list_of_what_there_is(name):
    with pytest.raises(ValueError, match=r"score of \['elbo', 'sure', .*'evidential'\]") as error:
        preset(name)
    assert f"correlation of {list(CORRELATIONS)}" in str(error.value)
    assert f"got {name!r}" in str(error.value)
