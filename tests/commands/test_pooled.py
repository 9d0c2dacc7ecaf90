import torch

from sure_pyro.commands.pooled import pooled
from sure_pyro.propagation import Moments, cross_check

draw = torch.Generator().manual_seed(0)


def random(rows):
    return torch.rand(rows, 2, generator=draw)


def test_blocks_of_rows_are_checked_as_the_whole():
    sources = {"audio": random(6), "head": random(6)}
    taylor = Moments(random(6), sources)
    errors = {name: 0.1 * random(6) for name in ("audio", "head", "total")}
    sampled = Moments(random(6), sources, errors=errors, num_samples=50, method="sampling")
    cut = [[m[:4], m[4:]] for m in (taylor, sampled)]
    whole, blocks = cross_check(taylor, sampled), cross_check(*map(pooled, cut))
    assert whole.to_dataframe().equals(blocks.to_dataframe())
    assert whole.summary() == blocks.summary()


def test_a_source_that_a_block_lacks_brought_nothing_there():
    some, none = Moments(random(2), {"audio": random(2)}), Moments(random(3))
    together = pooled([some, none]).sources["audio"]
    assert torch.equal(together, torch.cat([some.sources["audio"], torch.zeros(3, 2)]))
