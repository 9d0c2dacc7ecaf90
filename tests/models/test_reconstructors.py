from functools import partial

import pytest
import torch

from sure_pyro.models import MaskedReconstructor, PairwiseReconstructor, SeparateScale
from sure_pyro.models.reconstructor import SCALE_FLOOR, loc_scale
from sure_pyro.models.stacked import StackedReconstructor

SHAPES = {"image": (1, 6), "audio": (5, 4), "text": (1, 2)}
KINDS = [
    MaskedReconstructor,
    PairwiseReconstructor,
    partial(SeparateScale, kind=MaskedReconstructor),
    partial(SeparateScale, kind=PairwiseReconstructor),
    StackedReconstructor,
]


def inputs(B=7, dtype=torch.float32):
    values = {name: torch.randn(B, L, D, dtype=dtype) for name, (L, D) in SHAPES.items()}
    visible = {name: torch.rand(B, L) < 0.6 for name, (L, _) in SHAPES.items()}
    return values, visible


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_gives_a_location_and_a_positive_scale_for_every_token(kind, dtype):
    output = kind(SHAPES, width=16).to(dtype)(*inputs(dtype=dtype))
    for name, (L, D) in SHAPES.items():
        assert output[name].loc.shape == output[name].scale.shape == (7, L, D)
        assert output[name].loc.dtype == dtype
        assert (output[name].scale >= SCALE_FLOOR).all()


@pytest.mark.parametrize("stored", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stored_under_invisible_tokens_changes_nothing(kind, stored):
    reconstructor = kind(SHAPES, width=16).eval()
    values, visible = inputs()
    garbage = {
        name: torch.where(visible[name].unsqueeze(-1), z, torch.full_like(z, stored))
        for name, z in values.items()
    }
    expected, output = reconstructor(values, visible), reconstructor(garbage, visible)
    for name in SHAPES:
        assert torch.equal(output[name].loc, expected[name].loc)
        assert torch.equal(output[name].scale, expected[name].scale)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_visible_does_matter(kind):
    reconstructor = kind(SHAPES, width=16).eval()
    values, visible = inputs()
    visible["image"][:] = True
    expected = reconstructor(values, visible)["text"].loc
    changed = reconstructor({**values, "image": values["image"] + 1}, visible)["text"].loc
    assert (changed - expected).abs().amin() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_independent_and_gradients_finite_when_nothing_is_visible(kind):
    reconstructor = kind(SHAPES, width=16).eval()
    values, visible = inputs()
    together = reconstructor(values, visible)
    alone = reconstructor(
        {n: z[2:3] for n, z in values.items()}, {n: v[2:3] for n, v in visible.items()}
    )
    torch.testing.assert_close(alone["audio"].loc, together["audio"].loc[2:3])
    nothing = {name: torch.zeros_like(v) for name, v in visible.items()}
    output = reconstructor(values, nothing)
    sum(x.sum() for pair in output.values() for x in pair).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in reconstructor.parameters())


def test_without_a_source_the_pairwise_product_is_its_prior():
    values, visible = inputs()
    nothing = {name: torch.zeros_like(v) for name, v in visible.items()}
    for loc, scale in PairwiseReconstructor(SHAPES, width=8)(values, nothing).values():
        assert torch.equal(loc, torch.zeros_like(loc))
        assert torch.equal(scale, torch.ones_like(scale))


def test_pairwise_experts_are_combined_by_precision():
    reconstructor = PairwiseReconstructor(SHAPES, width=8).eval().double()
    values, visible = inputs(dtype=torch.float64)
    everything = {name: torch.ones_like(v) for name, v in visible.items()}
    output = reconstructor(values, everything)["text"]
    precision, weighted = torch.ones(7, 1, 2).double(), torch.zeros(7, 1, 2).double()
    for (i, j), network in zip(reconstructor.pairs, reconstructor.networks, strict=True):
        if i == "text":
            expert = loc_scale(network(values[j].flatten(1)))
            precision += expert.scale.square().reciprocal().unsqueeze(1)
            weighted += (expert.loc / expert.scale.square()).unsqueeze(1)
    torch.testing.assert_close(output.scale, precision.rsqrt())
    torch.testing.assert_close(output.loc, weighted / precision)


def num_parameters(kind, M):
    reconstructor = kind({f"m{i}": (1, 10) for i in range(M)}, width=16)
    return sum(p.numel() for p in reconstructor.parameters())


def test_masked_grows_linearly_in_the_number_of_modalities():
    counts = [num_parameters(MaskedReconstructor, M) for M in (2, 3, 4, 8)]
    per_modality = counts[1] - counts[0]
    assert counts[2] - counts[1] == per_modality
    assert counts[3] - counts[2] == 4 * per_modality


def test_pairwise_grows_with_the_number_of_ordered_pairs():
    two, five = (num_parameters(PairwiseReconstructor, M) for M in (2, 5))
    assert five == two // 2 * 20


def test_pairwise_has_six_fully_connected_layers():
    network = PairwiseReconstructor(SHAPES).networks[0]
    assert sum(isinstance(layer, torch.nn.Linear) for layer in network) == 6


def test_a_gap_in_a_sequence_is_filled_from_its_neighbours():
    """Two steps of training data: token l of a ramp is known from its visible neighbours alone."""
    shapes = {"ramp": (6, 1), "noise": (1, 2)}
    reconstructor = MaskedReconstructor(shapes, width=32, dropout=0.0)
    optimizer = torch.optim.Adam(reconstructor.parameters(), lr=3e-3)

    def error(B=128):
        start, slope = torch.randn(2, B, 1)
        ramp = (start + slope * torch.linspace(-1, 1, 6)).unsqueeze(-1)
        visible = {"ramp": torch.ones(B, 6).bool(), "noise": torch.ones(B, 1).bool()}
        visible["ramp"][torch.arange(B), torch.randint(6, (B,))] = False
        loc = reconstructor({"ramp": ramp, "noise": torch.randn(B, 1, 2)}, visible)["ramp"].loc
        return (loc - ramp)[~visible["ramp"]].square().mean()

    for _ in range(300):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    assert error().item() < 0.2  # the variance of a token is about 1.5


def test_scale_has_its_floor():
    assert loc_scale(torch.full((1, 2), -1e4)).scale.item() == pytest.approx(SCALE_FLOOR, rel=1)


@pytest.mark.parametrize("kind", KINDS)
def test_modalities_go_by_their_names_in_whatever_order_they_come(kind):
    reconstructor = kind(SHAPES, width=16).eval()
    values, visible = inputs()
    other = {name: values[name] for name in reversed(values)}
    expected, found = reconstructor(values, visible), reconstructor(other, visible)
    for name in SHAPES:
        assert torch.equal(found[name].loc, expected[name].loc)
