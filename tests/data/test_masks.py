"""The three masks agree, and what they do not keep is zero."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.data.masks import blank, existing_entries, settle


def test_existing_entries_of_a_padded_sequence():
    x = torch.ones(2, 3, 2)
    exists = existing_entries(x, torch.tensor([True, False]), torch.tensor([[1, 1, 0]] * 2).bool())
    assert exists.sum((1, 2)).tolist() == [4, 0]
    assert exists[0, :, 0].tolist() == [True, True, False]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31))
def test_settled_masks_agree_and_settling_again_changes_nothing(seed):
    source = torch.Generator().manual_seed(seed)

    def coin(*shape):
        return torch.rand(shape, generator=source) < 0.6

    features = {"v": torch.ones(6, 2), "s": torch.ones(6, 3, 2)}
    available, padding = coin(6, 2), {"s": coin(6, 3)}
    recorded = {"v": coin(6, 2), "s": coin(6, 3, 2)}
    first = settle(features, available, padding, recorded)
    a, tokens, parts = first
    assert not (a & ~available).any()
    assert tokens["s"][~a[:, 1]].all()
    for i, name in enumerate(features):
        exists = existing_entries(features[name], a[:, i], tokens.get(name))
        if name in parts:
            assert not (parts[name] & ~exists).any()
            assert torch.equal(parts[name].flatten(1).any(1), a[:, i])
    second = settle(features, a, tokens, parts)
    assert torch.equal(first[0], second[0])
    assert all(torch.equal(first[1][n], second[1][n]) for n in first[1])
    assert set(first[2]) == set(second[2])
    blanked = blank(features, a, tokens, parts)
    assert blanked["v"].sum() == (parts["v"] if "v" in parts else a[:, :1].expand(6, 2)).sum()
