"""Cross-entropy of labels in which the rare ones weigh more."""

from collections.abc import Sequence

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from torch import Tensor

from sure_pyro.objectives.scores.score import Score, Scored


class PositiveWeights(Score):
    r"""Score observed labels by cross-entropy with a weight for those that are borne.

    .. math:: L = -w_c\, y_c \log p_c - (1 - y_c) \log (1 - p_c)

    for every observed site with a `Bernoulli` of C labels, as MMBT is trained [Kiela2019]_. The
    weights, rows over frequency, let a label that few rows bear count as much as a common one. What
    is trained so is no likelihood: probabilities come out too high by the weight, in odds.

    Parameters
    ----------
    weights : Tensor or sequence of float, shape ``(C,)``
        w: positive and finite.

    Raises
    ------
    ValueError
        If a weight is not positive and finite, or, when a site is scored, if their number is not
        that of its labels.

    References
    ----------
    .. [Kiela2019] Supervised multimodal bitransformers for classifying images and text.
       arXiv:1909.02950.
    """

    kind = dist.Bernoulli

    def __init__(self, weights: Tensor | Sequence[float]):
        super().__init__()
        self.weights = torch.as_tensor(weights)
        if self.weights.ndim != 1 or not ((self.weights > 0) & self.weights.isfinite()).all():
            raise ValueError(
                "`weights` must be positive and finite, one per label; got "
                f"{self.weights.tolist()}."
            )

    def rescored(self, fn):
        """See `Score.rescored`."""
        if fn.logits.shape[-1] != len(self.weights):
            raise ValueError(
                f"`weights` has {len(self.weights)} entries, but the site has "
                f"{fn.logits.shape[-1]} labels."
            )
        return Scored(fn, self._cross_entropy)

    def _cross_entropy(self, fn: dist.Bernoulli, value: Tensor) -> Tensor:
        weights = self.weights.to(fn.logits)
        return F.binary_cross_entropy_with_logits(
            fn.logits, value, pos_weight=weights, reduction="none"
        )
