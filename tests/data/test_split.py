"""Splits: disjoint, covering, in proportion, and never through a group."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.data import Batch
from sure_pyro.data.split import split_rows


def numbered(n: int, **fields) -> Batch:
    """Rows that bear their own number."""
    return Batch({"row": torch.arange(float(n)).unsqueeze(1)}, **fields)


def rows_of(batch: Batch) -> list[int]:
    return batch.features["row"].flatten().long().tolist()


@settings(deadline=None, max_examples=60)
@given(
    st.integers(12, 200),
    st.integers(0, 2**31),
    st.sampled_from([(0.6, 0.2, 0.2), (0.5, 0.25, 0.25), (0.8, 0.2, 0.0), (0.7, 0.3)]),
    st.sampled_from(["plain", "classes", "groups", "marked", "groups marked"]),
)
def test_parts_are_disjoint_and_cover_every_row(n, seed, fractions, kind):
    source = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3 if kind == "classes" else None
    group = torch.randint(0, 3 + n // 4, (n,), generator=source) if "groups" in kind else None
    if group is not None:
        group[:3] = torch.arange(3)  # at least as many groups as parts
        group[3:6] = torch.arange(3)
    test = torch.arange(n) % 4 == 0 if "marked" in kind else None
    parts = split_rows(n, fractions, seed % 1000, labels=labels, group=group, test=test)
    assert len(parts) == len(fractions)
    everything = torch.cat(parts).sort().values.tolist()
    left_out = test is not None and len(fractions) == 2
    assert everything == ((~test).nonzero().flatten().tolist() if left_out else list(range(n)))
    if test is not None:
        assert not test[parts[0]].any()
        assert not test[parts[1]].any()
    if group is not None:
        homes = [set(group[rows].tolist()) for rows in parts[: 2 if test is not None else 3]]
        assert sum(len(home) for home in homes) == len(set.union(*homes))


def test_classes_keep_their_proportions_within_half_a_row():
    labels = torch.tensor([0] * 100 + [1] * 50 + [2] * 10)
    parts = numbered(160, target=labels[torch.randperm(160)]).split()
    assert [torch.bincount(p.target).tolist() for p in parts] == [
        [60, 30, 6],
        [20, 10, 2],
        [20, 10, 2],
    ]


def test_rows_come_shuffled_and_by_seed():
    batch = numbered(50)
    first, again, other = batch.split(seed=0), batch.split(seed=0), batch.split(seed=1)
    assert [rows_of(p) for p in first] == [rows_of(p) for p in again]
    assert rows_of(first[0]) != rows_of(other[0])
    assert rows_of(first[0]) != sorted(rows_of(first[0]))


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    numbered(20).split()
    assert torch.equal(before, torch.random.get_rng_state())


def test_marked_rows_are_the_test_part_and_validation_is_cut_from_the_rest():
    test = torch.arange(100) >= 80
    train, validation, held_out = numbered(100, test=test).split((0.6, 0.2, 0.2))
    assert sorted(rows_of(held_out)) == list(range(80, 100))
    assert (len(train), len(validation)) == (60, 20)  # a quarter of the rest
    assert not train.test.any()
    again = train.split()  # no marked row is left in it
    assert [len(p) for p in again] == [36, 12, 12]


def test_groups_keep_sizes_and_classes_near_the_fractions():
    group = torch.arange(2000) // 20  # 100 groups of one class each
    target = group % 4
    parts = numbered(2000, group=group, target=target).split(seed=3)
    sizes = [len(p) for p in parts]
    assert [abs(s - w) <= 20 for s, w in zip(sizes, (1200, 400, 400), strict=True)] == [True] * 3
    assert all(torch.bincount(p.target, minlength=4).min() >= len(p) / 4 - 20 for p in parts)


def test_few_groups_give_one_to_each_part():
    group = torch.tensor([0] * 60 + [1] * 20 + [2] * 20)
    validation = set()
    for seed in range(10):
        parts = numbered(100, group=group).split(seed=seed)
        assert [len(p) for p in parts] == [60, 20, 20]
        validation |= set(parts[1].group.tolist())
    assert validation == {1, 2}  # the seed has its say


def test_a_part_too_small_for_any_group_still_gets_one():
    group = torch.arange(99) % 3  # nothing at all is nearer to a tenth than a third is
    assert [len(p) for p in numbered(99, group=group).split((0.8, 0.1, 0.1))] == [33, 33, 33]


@pytest.mark.parametrize(
    ("fields", "fractions", "text"),
    [
        ({}, (0.5, 0.2, 0.2), "add up to 1; got"),
        ({}, (1.2, -0.2, 0.0), "non-negative"),
        ({}, (1.0,), "or the first two"),
        ({"group": torch.zeros(9).long()}, (0.6, 0.2, 0.2), r"1 group\(s\) .* 3 parts"),
        ({"test": torch.ones(9).bool()}, (0.6, 0.2, 0.2), "Every row is marked as test"),
        ({"test": torch.arange(9) > 4}, (0.0, 0.0, 1.0), "leave nothing for training"),
        ({"test": torch.arange(9) > 0}, (0.6, 0.2, 0.2), "the validation part, .* is empty"),
    ],
)
def test_splits_that_can_not_be_made(fields, fractions, text):
    with pytest.raises(ValueError, match=text):
        numbered(9, **fields).split(fractions)
