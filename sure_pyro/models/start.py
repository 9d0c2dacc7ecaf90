"""Where the head starts: at what the pretrained model says, on the scale of the target.

Before any training, `SURE` on complete rows then says what the model says. A model that speaks
another unit than the target (z-scores of a price, say) is found by its error on the training rows,
and started from the scale and offset that fit them.
"""

import warnings
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from sure_pyro.equations import response
from sure_pyro.models.latents import Latents
from sure_pyro.models.stored import StoredLatents

if TYPE_CHECKING:
    from sure_pyro.models.sure import SURE

ROWS = 2000
GAIN = 0.1
"""Share of the target's variance that scale and offset must win before they are used."""

NEAR = 0.9
"""Squared error, in variances of the target, up to which an output is in the target's unit."""

FAR = 2.0
"""Squared error, in variances of the target, beyond which an output is in another unit."""


def start_from_readout(model: "SURE", latents: Latents | StoredLatents) -> None:
    """Start the head of a model from the backbone's readout, if it has one that fits.

    Parameters
    ----------
    model : SURE
        With an untrained head.
    latents : Latents
        Of the training rows, with targets.
    """
    head = model.head
    readout = model.backbone.readout(head.mean.in_features)
    readout = None if readout is None else _like(readout, model.space.like)
    if readout is not None and head.task == "regression":
        readout = in_units_of_target(readout, *_outputs(model, readout, latents))
    assert latents.target is not None  # `initialize` asked for them
    head.start_from(two_logits(readout, head.mean.out_features), latents.target)


def _like(readout: nn.Linear, like: Tensor) -> nn.Linear:
    own = _linear(readout, readout.out_features, like)
    own.load_state_dict({"weight": readout.weight, "bias": _bias(readout)})
    return own


def _linear(readout: nn.Linear, num_outputs: int, like: Tensor) -> nn.Linear:
    """Layer whose numbers are still to come: no random number is drawn for them."""
    return skip_init(nn.Linear, readout.in_features, num_outputs).to(like)


def _bias(readout: nn.Linear) -> Tensor:
    return readout.weight.new_zeros(len(readout.weight)) if readout.bias is None else readout.bias


@torch.no_grad()
def _outputs(
    model: "SURE", readout: nn.Linear, latents: Latents | StoredLatents
) -> tuple[Tensor, Tensor]:
    """What the model says of complete training rows, and the truth, ``(n, C)`` each."""
    rows = latents.present.all(1).nonzero()[:ROWS, 0]
    few, size = latents[rows], model.backbone.batch_size
    assert few.target is not None
    outputs = [few.target.new_zeros(0, readout.out_features)]
    for i in range(0, len(rows), size):
        part = few[i : i + size]
        omega = partial(model.space.fuse, exists=part.padding)
        outputs.append(response(readout, omega, part.values))
    return torch.cat(outputs), few.target.reshape(len(rows), -1)


@torch.no_grad()
def in_units_of_target(readout: nn.Linear, outputs: Tensor, target: Tensor) -> nn.Linear:
    """Rescale a readout that speaks another unit than the target.

    Parameters
    ----------
    readout : nn.Linear
    outputs, target : Tensor, shape ``(n, C)``
        Its output for training rows, and the truth.

    Returns
    -------
    nn.Linear
        The same, if scale and offset would win less than `GAIN` of the target's variance;
        otherwise another one, with a warning.
    """
    if outputs.shape != target.shape or len(outputs) < 10:
        return readout
    y, m = target.double(), outputs.double()
    spread = y.var(0, correction=0).clamp_min(torch.finfo(torch.float64).tiny)
    covariance = ((y - y.mean(0)) * (m - m.mean(0))).mean(0)
    variance = m.var(0, correction=0)
    slope = torch.where(variance > 0, covariance / variance, torch.zeros_like(variance))
    offset = y.mean(0) - slope * m.mean(0)
    error = (y - m).square().mean(0) / spread
    fitted = (y - slope * m - offset).square().mean(0) / spread
    # An output that is merely timid, in the right unit, errs less than the mean would.
    wrong = (error - fitted > GAIN) & (error > NEAR) & ((error > FAR) | (fitted < 0.5))
    if not bool(wrong.any()):
        return readout
    fits = zip(slope.tolist(), offset.tolist(), strict=True)
    pairs = [f"target = {b:.4g} + {a:.4g} * output" for a, b in fits]
    warnings.warn(
        "The network's output is not in the unit of the target: its squared error on the training "
        f"rows is {error.max():.3g} times the target's variance, and {fitted.max():.3g} with a "
        f"scale and an offset. The head starts from {'; '.join(pairs[:3])}.",
        stacklevel=5,
    )
    scaled = _linear(readout, readout.out_features, readout.weight)
    scaled.weight.copy_(slope.unsqueeze(-1) * readout.weight.double())
    scaled.bias.copy_(slope * readout.bias.double() + offset)
    return scaled


@torch.no_grad()
def two_logits(readout: nn.Linear | None, num_outputs: int) -> nn.Linear | None:
    """Two classes from one logit of the second: the first has the logit 0."""
    if readout is None or (readout.out_features, num_outputs) != (1, 2):
        return readout
    both = _linear(readout, 2, readout.weight)
    both.weight.copy_(torch.cat([torch.zeros_like(readout.weight), readout.weight]))
    both.bias.copy_(torch.cat([torch.zeros_like(readout.bias), readout.bias]))
    return both
