"""Standardisation by the training rows: mean 0 and spread 1 of what was recorded there."""

from collections.abc import Mapping
from typing import cast

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor, nn

from sure_pyro.data.batch import Batch
from sure_pyro.data.fields import plain
from sure_pyro.data.masks import Tensors, blank
from sure_pyro.data.validate import check_names


class Standardizer(nn.Module):
    """x -> (x - mean) / scale per feature, with what was not recorded at zero, the mean.

    A vector has a mean and a scale for each of its entries. A sequence ``(L, D)``, or anything with
    more dimensions, has them for each channel of the last dimension, over rows and steps alike, so
    that time keeps its shape and lengths may differ.

    Parameters
    ----------
    shapes : mapping of str to tuple
        Event shape of each modality.

    Notes
    -----
    Mean and scale are buffers, numbered in the order of `shapes` because a modality name may hold
    characters that a state dict does not take. A constant feature, or one never recorded, gets
    scale 1; the latter gets mean 0.

    Raises
    ------
    ValueError
        If `shapes` is empty.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]):
        super().__init__()
        if not shapes:
            raise ValueError("`shapes` is empty: name at least one modality and its event shape.")
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        for i, shape in enumerate(self.shapes.values()):
            self.register_buffer(f"mean_{i}", torch.zeros(shape[-1]))
            self.register_buffer(f"scale_{i}", torch.ones(shape[-1]))

    @classmethod
    def of(cls, train: Batch) -> "Standardizer":
        """Build and fit in one step, from training rows."""
        return cls(_shapes(train)).fit(train)

    @property
    def means(self) -> dict[str, Tensor]:
        """Mean of each modality, ``(D_i,)``, in its own units."""
        return {name: self._moments(i)[0] for i, name in enumerate(self.shapes)}

    @property
    def scales(self) -> dict[str, Tensor]:
        """Standard deviation of each modality, ``(D_i,)``, in its own units."""
        return {name: self._moments(i)[1] for i, name in enumerate(self.shapes)}

    def fit(self, train: Batch) -> "Standardizer":
        """Take mean and scale from the recorded entries of these rows.

        Parameters
        ----------
        train : Batch
            Training rows only: test rows must not be seen. Buffers take its dtype and device.

        Raises
        ------
        TypeError
            If a modality holds integers, or has several fields.
        ValueError
            If modalities or shapes are not those of the constructor.
        """
        shapes = _shapes(train)
        if shapes != self.shapes:
            raise ValueError(f"Made for the event shapes {self.shapes}; `train` has {shapes}.")
        for i, (name, x) in enumerate(train.features.items()):
            if not x.is_floating_point():
                raise TypeError(
                    f"Modality {name!r} holds {x.dtype}: only floating values have a mean."
                )
            mean, scale = masked_moments(x, train.recorded_entries(name))
            setattr(self, f"mean_{i}", mean)
            setattr(self, f"scale_{i}", scale)
        return self

    def forward(
        self,
        features: Tensors,
        available: Bool[Tensor, "B M"],
        recorded: Tensors | None = None,
        padding: Tensors | None = None,
    ) -> dict[str, Tensor]:
        """Standardised features, zero wherever nothing was recorded.

        Parameters
        ----------
        features : dict of Tensor, shapes ``(B, *event_i)``
        available : bool Tensor, shape ``(B, M)``
        recorded, padding : dict of bool Tensor, optional
            As in `Batch`; entries outside are zero in the result, too.

        Returns
        -------
        dict of Tensor, shapes ``(B, *event_i)``
        """
        standard = {}
        for i, name in enumerate(self.shapes):
            mean, scale = self._moments(i)
            standard[name] = (features[name] - mean) / scale
        return blank(standard, available, padding or {}, recorded or {})

    def transform(self, batch: Batch) -> Batch:
        """Batch with standardised features."""
        x = self(batch.features, batch.available, batch.recorded, batch.padding)
        return batch._with(features=x)

    def inverse(self, batch: Batch) -> Batch:
        """Batch in the units of the features, from a standardised one."""
        x = blank(self.restore(batch.features), batch.available, batch.padding, batch.recorded)
        return batch._with(features=x)

    def restore(self, features: Tensors) -> dict[str, Tensor]:
        """Values in the units of the features: x = mean + scale z, for reconstructions.

        Parameters
        ----------
        features : dict of Tensor, shapes ``(..., *event_i)``
            Standardised; some of the modalities suffice.

        Raises
        ------
        ValueError
            If a modality is unknown.
        """
        check_names(features, "features", self.shapes)
        order = list(self.shapes)
        restored = {}
        for name, z in features.items():
            mean, scale = self._moments(order.index(name))
            restored[name] = mean + scale * z
        return restored

    def _moments(self, i: int) -> tuple[Tensor, Tensor]:
        return cast(Tensor, getattr(self, f"mean_{i}")), cast(Tensor, getattr(self, f"scale_{i}"))


def _shapes(batch: Batch) -> dict[str, tuple[int, ...]]:
    needs = "Standardisation"
    return {name: tuple(plain(batch.features, name, needs).shape[1:]) for name in batch.modalities}


def masked_moments(
    x: Shaped[Tensor, "B ..."], recorded: Bool[Tensor, "B ..."]
) -> tuple[Shaped[Tensor, " D"], Shaped[Tensor, " D"]]:
    """Mean and standard deviation over the n recorded entries of each channel.

    mean = sum x / n and scale^2 = sum (x - mean)^2 / n, in float64 and two passes, of deviations
    from an entry of the channel: a large offset costs no digits, and a constant has spread 0.

    Returns
    -------
    mean, scale : Tensor, shape ``(D,)``
        In the dtype of `x`. Zero mean where n = 0; scale 1 where the spread is zero or no more than
        the rounding error of the values. No threshold has a unit: teslas do as well as z-scores.
    """
    kept = recorded.reshape(-1, x.shape[-1])  # (B * steps, D)
    values = x.reshape(kept.shape).double()
    n = kept.sum(0).clamp(min=1)
    some = values.gather(0, kept.to(torch.int8).argmax(0, keepdim=True))  # (1, D)
    some = torch.where(kept.any(0), some, 0.0)  # what is stored where n = 0 has no effect
    deviation = torch.where(kept, values - some, 0.0)
    shift = deviation.sum(0) / n
    scale = (torch.where(kept, deviation - shift, 0.0).square().sum(0) / n).sqrt()
    mean = (some + shift).squeeze(0)
    rounding = 4 * torch.finfo(x.dtype).eps * mean.abs()
    scale = torch.where(scale > rounding, scale, torch.ones_like(scale)).to(x.dtype)
    # A spread below the smallest number of the dtype, as half precision has, is none.
    return mean.to(x.dtype), torch.where(scale > 0, scale, torch.ones_like(scale))
