import pytest
import torch

from sure_pyro.plots import plot_cross_check, plot_nonlinearity
from sure_pyro.propagation import cross_check, sampling, taylor

MEAN, VARIANCE = torch.zeros(10, 2), torch.ones(10, 2)


def check(fn, mean, variance, **options):
    return cross_check(taylor(fn, mean, variance), sampling(fn, mean, variance, **options))


@pytest.mark.parametrize("variance", [VARIANCE, 0 * VARIANCE])
def test_a_point_per_row_and_output(ax, variance):
    found = check(torch.tanh, MEAN, variance, num_samples=50)
    assert plot_cross_check(found, ax) is ax
    assert "units" in ax.get_xlabel()
    points = [len(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None"]
    assert sum(points) == 20
    assert points == [20, 0] if not variance.any() else points[1] == 20  # tanh of a wide latent


def test_map_of_nonlinearity_is_bright_where_the_function_bends(ax):
    mean = torch.tensor([[0.0], [3.0]]).expand(2, 2)  # the cosine is flat at 0, and slopes at 3
    variance = torch.full_like(mean, 0.01)
    found = check(torch.cos, mean, variance, num_samples=64, control="taylor")
    assert plot_nonlinearity(found, ax) is ax
    shown = torch.from_numpy(ax.images[0].get_array().filled()).float()
    torch.testing.assert_close(shown, found.nonlinearity.float())
    assert (shown[0] > 0.99).all()
    assert (shown[1] < shown[0]).all()


def test_nonlinearity_needs_controlled_draws(ax):
    with pytest.raises(ValueError, match='control="taylor"'):
        plot_nonlinearity(check(torch.cos, MEAN, VARIANCE), ax)


def test_new_axes():
    assert plot_cross_check(check(torch.tanh, MEAN, VARIANCE)).get_ylabel().startswith("sd by")
