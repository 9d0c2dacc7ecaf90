"""Monte Carlo dropout, written as a guide over weights."""

from typing import Any, ClassVar

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from sure_pyro.guides.program import WeightProgram
from sure_pyro.guides.trained import TrainedGuide
from sure_pyro.models.reconstructor import LocalPyroModule

Rates = dict[str, tuple[float, int]]
"""Of each masked weight, by name: the rate, and the number of the mask that it shares."""


class DropoutGuide(TrainedGuide):
    r"""q(w): every draw switches off a random part of each layer's inputs, for all rows alike.

    .. math:: W = M \operatorname{diag}(m) / (1 - p), \qquad m_k \sim \mathrm{Bernoulli}(1 - p)

    with M the trained weights [Gal2016]_. Layers that read the same input share its mask. A part
    that was trained with dropout of its own (linear layers behind ``nn.Dropout``, as in the
    reconstructors) is taken as it is, with those rates: its training was the training of this
    guide. In a part without, every linear layer gets `rate`, and the part is trained once more
    under it.

    *It can not recover a conjugate posterior*: the spread is set by `rate` and the size of the
    weights, M_k^2 p / (1 - p) per weight, and does not shrink as the data grow. What training
    chooses is M. Cost: nothing over a reconstructor with dropout, a second phase over a head.

    Parameters
    ----------
    over, prior_scale
        As in `WeightGuide`.
    rate : float, in (0, 1)
        p, in parts without dropout of their own.

    References
    ----------
    .. [Gal2016] Dropout as a Bayesian approximation. ICML. arXiv:1506.02142.
    """

    kind: ClassVar[str] = "dropout"

    def __init__(
        self,
        over: tuple[str, ...] = ("reconstructor", "head"),
        prior_scale: float | None = None,
        rate: float = 0.1,
    ):
        super().__init__(over, prior_scale)
        if not 0 < rate < 1:
            raise ValueError(f"`rate` must be between 0 and 1; got {rate}.")
        self.rate = rate

    def needs_training(self, program) -> bool:
        """See `TrainedGuide.needs_training`: not where the part has dropout of its own."""
        return not own_rates(program)

    def approximation(self, program, batch) -> nn.Module:
        """See `TrainedGuide.approximation`."""
        return _Masked(program, self._rates(program))

    def keep(self, program, approximation) -> None:
        """See `TrainedGuide.keep`."""
        learnt = {f"loc/{name}": w for name, w in approximation.weights().items()}
        for name, (rate, mask) in self._rates(program).items():
            learnt |= {f"rate/{name}": torch.tensor(rate), f"mask/{name}": torch.tensor(mask)}
        self.learnt[program.part] = {k: t.detach().clone() for k, t in learnt.items()}

    def _rates(self, program: WeightProgram) -> Rates:
        rates = own_rates(program) or {n: (self.rate, i) for n, i in _inputs(program).items()}
        if not rates:
            raise ValueError(
                f"The part {program.part!r} has no linear layer, so there is nothing to drop."
            )
        return rates

    def _draw(self, part: str, generator: torch.Generator) -> dict[str, Tensor]:
        learnt = self.learnt[part]
        weights = {k[4:]: w for k, w in learnt.items() if k.startswith("loc/")}
        rates = {
            k[5:]: (p.item(), int(learnt[f"mask/{k[5:]}"].item()))
            for k, p in learnt.items()
            if k.startswith("rate/")
        }
        return masked(weights, rates, generator)


class _Masked(LocalPyroModule):
    """The Pyro guide: weights under a fresh mask, as Delta sites of the program's own names.

    The entropy of the masks does not depend on what is trained, and is left out.
    """

    def __init__(self, program: WeightProgram, rates: Rates):
        super().__init__()
        self.rates, self.names = rates, program.names
        self.values = nn.ParameterList(nn.Parameter(w) for w in program.fitted.values())

    def weights(self) -> dict[str, Tensor]:
        return dict(zip(self.names, self.values, strict=True))

    def forward(self, *batch) -> None:
        for name, w in masked(self.weights(), self.rates, None).items():
            fn: Any = dist.Delta(w, event_dim=w.ndim)
            pyro.sample(name, fn)


def masked(
    weights: dict[str, Tensor], rates: Rates, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """Weights with a random part of their inputs off; the default generator if None."""
    masks: dict[int, Tensor] = {}
    drawn = dict(weights)
    for name, (rate, number) in rates.items():
        w = weights[name]
        if number not in masks:
            keep = torch.full(w.shape[1:], 1 - rate, dtype=w.dtype, device=w.device)
            masks[number] = torch.bernoulli(keep, generator=generator) / (1 - rate)
        drawn[name] = w * masks[number]
    return drawn


def own_rates(program: WeightProgram) -> Rates:
    """Rates of the linear layers that stand behind an active ``nn.Dropout`` in a sequence."""
    rates: Rates = {}
    for prefix, module in program.model.named_modules():
        if isinstance(module, nn.Sequential) and not _is_nested(program.model, prefix):
            rate = 0.0
            for name, layer in _flattened(module, prefix):
                if isinstance(layer, nn.Dropout):
                    rate = layer.p
                elif isinstance(layer, nn.Linear):
                    if rate > 0 and f"{name}.weight" in program.names:
                        rates[f"{name}.weight"] = (rate, len(rates))
                    rate = 0.0
    return rates


def _is_nested(model: nn.Module, name: str) -> bool:
    parent = model.get_submodule(name.rpartition(".")[0]) if "." in name else model
    return isinstance(parent, nn.Sequential) and bool(name)


def _flattened(module: nn.Sequential, prefix: str):
    for child, layer in module.named_children():
        name = f"{prefix}.{child}" if prefix else child
        if isinstance(layer, nn.Sequential):
            yield from _flattened(layer, name)
        else:
            yield name, layer


def _inputs(program: WeightProgram) -> dict[str, int]:
    """Weights of linear layers, with a number for the input that each reads.

    Layers of a sequence read different inputs; others that lie side by side in one module and
    have one width read the same (the two layers of a head).
    """
    numbers: dict[Any, int] = {}
    found = {}
    for name, layer in program.model.named_modules():
        weight = f"{name}.weight" if name else "weight"
        if isinstance(layer, nn.Linear) and weight in program.names:
            parent = name.rpartition(".")[0]
            alone = isinstance(program.model.get_submodule(parent), nn.Sequential)
            key = name if alone else (parent, layer.in_features)
            found[weight] = numbers.setdefault(key, len(numbers))
    return found
