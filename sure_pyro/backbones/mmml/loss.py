"""What MMML is trained with: one loss for every head."""

from collections.abc import Mapping

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def multi_task_loss(
    outputs: Mapping[str, Float[Tensor, "B 1"]], target: Float[Tensor, " B"] | Float[Tensor, "B 1"]
) -> Float[Tensor, ""]:
    """Mean absolute error of every head, added up with equal weights.

    Parameters
    ----------
    outputs : mapping of str to Tensor, shapes ``(B, 1)``
        As `MMML.outputs` gives them: T, A and M.
    target : Tensor, shape ``(B,)`` or ``(B, 1)``
        Sentiment of the utterance, the same for every head.
    """
    y = target.reshape(-1, 1)
    return sum((F.l1_loss(output, y) for output in outputs.values()), y.new_zeros(()))
