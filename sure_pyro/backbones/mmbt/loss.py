r"""The loss by which MMBT is trained: cross-entropy per label, rare labels weighing more.

.. math:: L = -\frac{1}{BC} \sum_{b,c} \bigl[ w_c\, y_{bc} \log p_{bc}
              + (1 - y_{bc}) \log (1 - p_{bc}) \bigr], \qquad w_c = N / n_c

with p the sigmoid of the logits and n_c of N training rows bearing label c.
"""

import torch.nn.functional as F
from jaxtyping import Float, Num
from torch import Tensor


def positive_weights(target: Num[Tensor, "N C"]) -> Float[Tensor, " C"]:
    """Weight w_c of the rows that bear a label: rows over frequency.

    Parameters
    ----------
    target : Tensor, shape ``(N, C)``
        0 and 1, of the training rows.

    Returns
    -------
    Tensor, shape ``(C,)``
        At least 1. A label that no row bears counts as borne by one, so that its weight is finite.
    """
    dtype = target.dtype if target.is_floating_point() else None
    return len(target) / target.sum(0, dtype=dtype).clamp(min=1)


def multilabel_loss(
    logits: Float[Tensor, "B C"],
    target: Num[Tensor, "B C"],
    weights: Float[Tensor, " C"] | None = None,
) -> Float[Tensor, ""]:
    """Mean cross-entropy over rows and labels, with the weights of `positive_weights`."""
    return F.binary_cross_entropy_with_logits(logits, target.to(logits), pos_weight=weights)
