import pytest
import torch

from sure_pyro.propagation import Moments, sampling, taylor

A, B = torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([[3.0, 0.0], [-1.0, 4.0]])
MOMENTS = Moments(torch.zeros(2, 2), {"a": A, "interaction": B})


def test_total_sd_and_share():
    torch.testing.assert_close(MOMENTS.variance, A + B)
    torch.testing.assert_close(MOMENTS.sd, torch.tensor([[2.0, 0.0], [2**0.5, 2.0]]))
    torch.testing.assert_close(MOMENTS.share["a"], torch.tensor([[0.25, 0.0], [1.5, 0.0]]))
    assert len(MOMENTS) == 2


def test_affine_goes_back_to_the_units_of_the_target():
    fn = lambda z: z @ torch.tensor([[1.0, 2.0], [0.5, 1.0]])  # noqa: E731
    scale, shift = torch.tensor([-3.0, 2.0]), torch.tensor([1.0, 0.0])
    args = torch.ones(3, 2), torch.full((3, 2), 0.5)
    back = lambda z: fn(z) * scale + shift  # noqa: E731
    for method in (taylor, sampling):
        y = method(fn, *args, output_covariance=True).affine(scale, shift)
        direct = method(back, *args, output_covariance=True)
        torch.testing.assert_close(y.mean, direct.mean)
        torch.testing.assert_close(y.sources["input"], direct.sources["input"])
        torch.testing.assert_close(y.covariance, direct.covariance)
        for name, error in direct.errors.items():
            torch.testing.assert_close(y.errors[name], error)


def test_rows_each_and_another_source():
    torch.testing.assert_close(MOMENTS[1:].variance, MOMENTS.variance[1:])
    torch.testing.assert_close(MOMENTS[torch.tensor([True, False])].mean, torch.zeros(1, 2))
    assert MOMENTS.each(torch.Tensor.double).variance.dtype == torch.float64
    more = MOMENTS.with_source("weights", torch.ones(2, 2))
    torch.testing.assert_close(more.variance, MOMENTS.variance + 1)
    assert MOMENTS.with_source("weights", None) is MOMENTS
    with pytest.raises(ValueError, match="There is a source 'a' already"):
        MOMENTS.with_source("a", A)


def test_a_source_can_be_left_out():
    y = sampling(torch.tanh, torch.zeros(3, 2), torch.ones(3, 2), output_covariance=True)
    more = y.with_source("weights", torch.ones(3, 2)).without_source("weights")
    torch.testing.assert_close(more.variance, y.variance, rtol=0, atol=0)
    torch.testing.assert_close(more.covariance, y.covariance, rtol=0, atol=0)
    assert more.errors.keys() == {"input"}  # the error of the total was that of all of them
    nothing = y.without_source("input")
    assert not nothing.variance.any()
    assert nothing.sources == nothing.errors == {}
    assert MOMENTS.without_source("nowhere").sources == MOMENTS.sources


def test_covariance_must_have_been_asked_for():
    with pytest.raises(ValueError, match="output_covariance=True"):
        _ = MOMENTS.covariance


def test_tables():
    y = sampling(torch.tanh, torch.zeros(3, 2), torch.ones(3, 2), output_covariance=True)
    frame = y.to_dataframe()
    assert frame.shape == (6, 4)
    assert list(frame.columns) == ["mean", "variance", "sd", "variance[input]"]
    assert frame.loc[(2, 1), "variance"] == pytest.approx(float(y.variance[2, 1]))
    dataset = y.to_dataset(coords={"output": ["cat", "dog"]})
    assert dataset.sizes == {"row": 3, "output": 2, "source": 1, "other_output": 2}
    picked = dataset.variance_by_source.sel(source="input", output="dog")
    torch.testing.assert_close(torch.tensor(picked.values), y.sources["input"][:, 1])
    assert {"mean_error", "variance_error", "error_by_source", "covariance"} <= set(dataset)
    assert (dataset.share == 1).all()
    certain = taylor(torch.tanh, torch.zeros(3, 2), torch.zeros(3, 2)).to_dataset()
    assert set(certain) == {"mean", "variance", "variance_by_source", "share"}
    assert (certain.share == 0).all()
    half = Moments(torch.zeros(1, 1).bfloat16(), {"a": torch.ones(1, 1).bfloat16()})
    assert half.to_dataframe()["variance"].item() == 1


def test_repr_says_what_it_is():
    assert repr(MOMENTS) == (
        "Moments(taylor: 2 rows x 2 outputs, mean sd 1.35; variance: a 40%, interaction 60%)"
    )
    y = sampling(torch.tanh, torch.zeros(3, 2), torch.ones(3, 2), num_samples=7)
    assert "sampling, 7 draws" in repr(y)
