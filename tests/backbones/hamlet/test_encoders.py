import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sure_pyro.backbones.hamlet.encoders import to_the_left
from tests.backbones.hamlet.conftest import GYRO, PHONE, RGB, latent_by_hand, make_hamlet

EVENTS = {"rgb": (3, 33, 40), "acc_phone": (5, 3), "gyro": (7, 2)}


@pytest.fixture(scope="module")
def model():
    return make_hamlet([RGB, PHONE, GYRO])


@pytest.mark.parametrize("name", EVENTS)
def test_one_row_by_its_equations(model, name):
    x = torch.randn(2, 4, *EVENTS[name])
    z = model.encoder(name)(x, torch.ones(2, 4, dtype=torch.bool))
    assert z.std() > 0
    for row in range(2):
        expected = latent_by_hand(model.encoder(name), x[row])
        torch.testing.assert_close(z[row], expected, rtol=1e-5, atol=1e-5)


@given(exists=st.lists(st.booleans(), min_size=6, max_size=6).filter(any))
def test_a_clip_says_the_same_however_it_is_padded(model, exists):
    encoder, mask = model.encoder("gyro"), torch.tensor([exists])
    x = torch.randn(1, 6, 5, 2)
    expected = encoder(x[mask][None], torch.ones(1, sum(exists), dtype=torch.bool))
    torch.testing.assert_close(encoder(x, mask), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("noise", [1.0, 1e30, float("nan"), float("inf")])
@pytest.mark.parametrize("name", EVENTS)
def test_noise_at_padding_moves_the_latent_by_exactly_zero(model, name, noise):
    x = torch.randn(3, 4, *EVENTS[name])
    exists = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1]]).bool()
    noisy = torch.where(exists.reshape(3, 4, *[1] * (x.ndim - 2)), x, noise * torch.randn(x.shape))
    encoder = model.encoder(name)
    torch.testing.assert_close(encoder(noisy, exists), encoder(x, exists), rtol=0, atol=0)


@pytest.mark.parametrize("name", EVENTS)
def test_a_row_without_steps_is_zero_and_moves_no_other(model, name):
    x = torch.randn(3, 4, *EVENTS[name])
    exists = torch.ones(3, 4, dtype=torch.bool)
    encoder = model.encoder(name)
    whole = encoder(x, exists)
    exists[1] = False
    z = encoder(x, exists)
    assert (z[1] == 0).all()
    torch.testing.assert_close(z[[0, 2]], whole[[0, 2]], rtol=0, atol=0)


def test_no_row_is_masked_throughout_which_some_kernels_answer_with_nan(model, monkeypatch):
    encoder, seen = model.encoder("gyro"), []

    def spy(*args, key_padding_mask, **options):
        seen.append(key_padding_mask)
        return type(encoder.attention).forward(
            encoder.attention, *args, key_padding_mask=key_padding_mask, **options
        )

    monkeypatch.setattr(encoder.attention, "forward", spy)
    encoder(torch.randn(2, 3, 5, 2), torch.tensor([[0, 0, 0], [0, 1, 0]]).bool())
    assert seen[0].tolist() == [[False, False, False], [False, True, True]]


def test_a_row_without_steps_has_a_finite_gradient():
    model = make_hamlet([PHONE], freeze=False).eval()
    x = torch.randn(2, 4, 5, 3, requires_grad=True)
    z = model.encoder("acc_phone")(x, torch.tensor([[0, 0, 0, 0], [1, 1, 0, 1]]).bool())
    gradients = torch.autograd.grad(z.sum(), [x, *model.encoder("acc_phone").parameters()])
    assert all(g.isfinite().all() for g in gradients)


def test_steps_that_exist_come_first_in_their_order():
    z = torch.arange(1.0, 9.0).reshape(2, 4, 1)
    exists = torch.tensor([[0, 1, 0, 1], [1, 1, 1, 0]]).bool()
    left, mask = to_the_left(z, exists)
    assert left.squeeze(-1).tolist() == [[2, 4, 0, 0], [5, 6, 7, 0]]
    assert mask.tolist() == [[True, True, False, False], [True, True, True, False]]
