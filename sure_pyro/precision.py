"""Half precision around us: what is trained and scored stays in single precision at least."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def at_least_single(x: Tensor) -> Tensor:
    """Float32 of half precision, in which a network answers under autocast; others as they are.

    Scales and variances, and the sums over them, need more than three digits.
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


@contextmanager
def moving_weights() -> Iterator[None]:
    """Train under an autocast that was entered before.

    Autocast keeps the half-precision copy of a weight until it is left. Around a whole training
    that copy would be the one of the first pass: later steps would change nothing, and after a
    pass without gradients there would be none at all.
    """
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)
        torch.clear_autocast_cache()
