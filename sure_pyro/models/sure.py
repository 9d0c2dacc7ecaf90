"""`SURE`: a frozen multimodal model that knows how unsure it is when modalities are missing.

Equations 1 to 4 of arXiv 2504.13465 as one Pyro module: frozen projectors give latents, missing
ones are reconstructed with a location and a scale, the frozen fusion and a trained head turn them
into a distribution of the target. `predict` carries the scale through to the prediction by a
first-order Taylor expansion (equation 7), by sampling (equation 10), or both.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.backbones import Backbone, check_backbone
from sure_pyro.backbones.cut.share import shared_copy
from sure_pyro.data import Batch
from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.data.store import LatentStore
from sure_pyro.data.store.store import in_memory
from sure_pyro.data.task import num_outputs, target_of
from sure_pyro.equations import fusion_input, response
from sure_pyro.models import saving
from sure_pyro.models.heads import HEADS, Head, Output
from sure_pyro.models.latents import Latents, Masks
from sure_pyro.models.methods import METHODS, Draws, moments_by_method
from sure_pyro.models.parts import (
    RECONSTRUCTORS,
    check_choice,
    head_for,
    make_head,
    make_reconstructor,
)
from sure_pyro.models.prediction import Prediction
from sure_pyro.models.pretrained import pretrained_output
from sure_pyro.models.program import sample_latents, sample_target
from sure_pyro.models.reconstructor import LocalPyroModule, LocScale, Reconstructor
from sure_pyro.models.space import LatentSpace
from sure_pyro.models.start import start_from_readout
from sure_pyro.models.stored import StoredLatents, stand_in_of
from sure_pyro.models.weights import WeightPosterior
from sure_pyro.propagation import Moments, taylor

CLOSED_FORM_ROWS = 20_000
"""As many training rows as a closed form is estimated from: more would not change it."""


class FusionInput(NamedTuple):
    """What enters the fusion: the arguments of a method of `sure_pyro.propagation`.

    Attributes
    ----------
    mean : dict of Tensor, shapes ``(B, L_i, D_i)``
        zt, equation 3.
    variance : dict of Tensor, shapes ``(B, L_i, D_i)``
        Of the modalities that some row misses: sigma^2 where it is reconstructed, else zero.
    exists : dict of bool Tensor, shapes ``(B, L_i)``
        For padded sequences, the tokens that the fusion attends to; known exactly.
    """

    mean: dict[str, Tensor]
    variance: dict[str, Tensor]
    exists: dict[str, Tensor]


class SURE(LocalPyroModule):
    """p(z_target, y | z_visible) on top of a frozen backbone.

    Parameters
    ----------
    backbone : Backbone
        The pretrained model; it is frozen here. Wrap any ``nn.Module`` with `Backbone.wrap`.
    reconstructor : {"masked", "pairwise", "gaussian", "stacked"}, optional
        Equation 2: see `MaskedReconstructor`, `PairwiseReconstructor`, for the closed form
        `GaussianReconstructor`, and for that beside a network `StackedReconstructor`. By default
        what the objective of `sure_pyro.fit` goes with: ``"stacked"`` for ``"default"``, else
        ``"masked"``.
    head : {"gaussian", "categorical", "bernoulli", "multilabel"}, optional
        Equation 4; by default the one that fits the task of the data.
    reconstructor_options : dict, optional
        Keywords of the reconstructor's class, such as ``{"width": 128}``, or
        ``{"evidential": True}`` for the objective ``"evidential"``.
    separate_scale : bool, optional
        Location and scale in networks of their own: see `SeparateScale`. By default as the
        objective of `sure_pyro.fit` asks.

    Notes
    -----
    Latent sizes, standardisation and number of classes come from the training rows, so the
    trainable parts exist after `initialize`, which `sure_pyro.fit` calls.
    """

    space: LatentSpace  # these three are made by `initialize`, from the data
    reconstructor: Reconstructor
    head: Head

    def __init__(
        self,
        backbone: Backbone,
        reconstructor: str | None = None,
        head: str | None = None,
        *,
        reconstructor_options: Mapping | None = None,
        separate_scale: bool | None = None,
    ):
        super().__init__()
        if reconstructor is not None:
            check_choice("reconstructor", reconstructor, RECONSTRUCTORS)
        if head is not None:
            check_choice("head", head, HEADS)
        self.backbone = backbone.freeze()
        self.settings: dict[str, Any] = {
            "reconstructor": reconstructor,
            "head": head,
            "reconstructor_options": dict(reconstructor_options or {}),
            "separate_scale": separate_scale,
        }
        self.class_names: tuple[str, ...] | None = None
        self.weights: WeightPosterior | None = None

    # -- construction -----------------------------------------------------------------------------

    @property
    def initialized(self) -> bool:
        """Whether the trainable parts exist."""
        return "head" in self._modules

    def initialize(self, train: Batch | LatentStore, separate_scale: bool = False) -> "SURE":
        """Build the trainable parts from the training rows; a second call changes nothing.

        Parameters
        ----------
        train : Batch or LatentStore
            With targets. Only its available entries are looked at.
        separate_scale : bool
            What to do where the constructor left it open.

        Raises
        ------
        ValueError
            If modalities or targets do not fit the backbone or the head, or if the backbone mixes
            rows or modalities (see `check_backbone`).
        """
        self.encode_training(train, separate_scale)
        return self

    def encode_training(
        self,
        train: Batch | LatentStore,
        separate_scale: bool = False,
        reconstructor: str = "masked",
    ) -> Latents | StoredLatents:
        """Latents of the training rows, from which `initialize` builds the trainable parts.

        The same pass through the encoders serves for both. Those of a store stay on disk. The
        constructor has the last word on `separate_scale` and `reconstructor`.
        """
        self._check_modalities(train)
        if not self.initialized:
            if self.settings["reconstructor"] is None:
                self.settings["reconstructor"] = reconstructor
            if self.settings["separate_scale"] is None:
                self.settings["separate_scale"] = separate_scale
            return self._initialize(train)
        if isinstance(train, LatentStore):
            return StoredLatents(self.space, train)
        return self.encode(train)

    def _initialize(self, train: Batch | LatentStore) -> Latents | StoredLatents:
        target_of(train)
        self.settings["head"] = head_for(str(train.task), self.settings["head"])
        outputs = num_outputs(train)
        latents = self._fit_space(train)
        few = latents[torch.arange(min(2, len(latents)))]
        self.build(self.space.fuse(few.values, few.padding).shape[-1], outputs)
        self.class_names = train.class_names
        self.reconstructor.fit_closed_form(latents[evenly(len(latents), CLOSED_FORM_ROWS)])
        start_from_readout(self, latents)
        return latents

    def _fit_space(self, train: Batch | LatentStore) -> Latents | StoredLatents:
        if isinstance(train, LatentStore):
            self.backbone.stand_in = self.backbone.stand_in or stand_in_of(train)
            self.space = LatentSpace.fit_stored(self.backbone, train)
            return StoredLatents(self.space, train)
        if not train.encoded:
            self.backbone.prepare(train)
            check_backbone(self.backbone, train)
        self.space, latents = LatentSpace.fit_encode(self.backbone, train)
        return latents

    def build(self, width: int, num_outputs: int) -> None:
        """Make reconstructor and head, untrained, for a latent space that is there already.

        Parameters
        ----------
        width : int
            H, of the fused representation.
        num_outputs : int
            C.
        """
        reference = self.space.like
        self.reconstructor = make_reconstructor(self.settings, self.space.shapes).to(reference)
        self.head = make_head(self.settings, width, num_outputs).to(reference)

    def _check_modalities(self, batch: Batch | LatentStore) -> None:
        if batch.modalities != self.backbone.modalities:
            raise ValueError(
                f"The model was made for the modalities {self.backbone.modalities}, in this order; "
                f"the data has {batch.modalities}."
            )

    def _require_initialized(self) -> None:
        if not self.initialized:
            raise ValueError(
                "The model has no trainable parts yet: call `sp.fit(model, train, val)`."
            )

    # -- the program ------------------------------------------------------------------------------

    def encode(self, batch: Batch | MaskedRows | LatentStore) -> Latents:
        """Frozen projectors, equation 1: standardised latents and what is recorded of them."""
        self._require_initialized()
        rows: Any = in_memory(batch)
        self._check_modalities(rows.complete if isinstance(rows, MaskedRows) else rows)
        return self.space.encode(rows)

    def reconstruct(self, latents: Latents, visible: Masks) -> dict[str, LocScale]:
        """Location and scale of every modality given what is visible, equation 2."""
        return self.reconstructor(latents.values, visible)

    @staticmethod
    def fill(
        latents: Latents, visible: Masks, loc: Mapping[str, Tensor]
    ) -> dict[str, Float[Tensor, "B _ _"]]:
        """What the fusion sees, equation 3: ``zt_i = z_i if v_i else mu_i``; padding as it is."""
        missing = latents.missing(visible)
        return {
            name: fusion_input(latents.values[name], mu, ~missing[name]) for name, mu in loc.items()
        }

    def respond(self, zt: Mapping[str, Tensor], exists: Mapping[str, Tensor]) -> Output:
        """Head on the fused representation, equation 4: h = omega(zt), Head(g(h))."""
        return response(self.head, partial(self.space.fuse, exists=exists), zt)

    def respond_in_units(self, zt: Mapping[str, Tensor], exists: Mapping[str, Tensor]) -> Output:
        """`respond`, in the units of the target; for classes and labels logits, as it is."""
        return self.head.in_units(self.respond(zt, exists))

    def forward(
        self,
        latents: Latents,
        visible: Masks,
        reconstruction: Mapping[str, LocScale] | None = None,
        *,
        plug_in: bool = True,
    ) -> Tensor:
        """The whole program: sites ``z_<modality>`` and ``y``.

        Parameters
        ----------
        latents : Latents
        visible : dict of bool Tensor, shapes ``(B, L_i)``
        reconstruction : dict of LocScale, optional
            Of these very arguments, where the caller has it already.
        plug_in : bool
            True: the fusion sees the reconstructed mean (equation 3). False: it sees the latents
            as drawn, which is the generative program that sampling follows (equation 10).

        Returns
        -------
        Tensor
            The value of ``y``.
        """
        if reconstruction is None:
            reconstruction = self.reconstruct(latents, visible)
        drawn = sample_latents(latents, visible, reconstruction)
        loc = {name: r.loc for name, r in reconstruction.items()} if plug_in else drawn
        output = self.respond(self.fill(latents, visible, loc), latents.exists(visible))
        return sample_target(self.head, output, latents.target)

    # -- prediction -------------------------------------------------------------------------------

    def fusion_input(
        self, latents: Latents, visible: Masks, reconstruction: Mapping[str, LocScale]
    ) -> FusionInput:
        """What enters the fusion, for `sure_pyro.propagation`: zt, with sigma^2 where it is mu."""
        missing = latents.missing(visible)
        variance = {
            name: r.scale.square() * missing[name].unsqueeze(-1)
            for name, r in reconstruction.items()
            if bool(missing[name].any())
        }
        loc = {name: r.loc for name, r in reconstruction.items()}
        return FusionInput(self.fill(latents, visible, loc), variance, latents.exists(visible))

    def taylor(self, latents: Latents, visible: Masks, reconstruction) -> Moments:
        """First-order propagation, equations 7 and 8, on the scale of the head (not in units)."""
        mean, variance, exists = self.fusion_input(latents, visible, reconstruction)
        return taylor(self.respond, mean, variance, known=exists)

    @torch.no_grad()
    def predict(
        self,
        batch: Batch | MaskedRows | LatentStore,
        propagate: str = "taylor",
        *,
        num_samples: int = 1000,
        num_weights: int = 30,
        seed: int = 0,
    ) -> Prediction:
        """Predict, and say how unsure the prediction is and because of what.

        Parameters
        ----------
        batch : Batch, MaskedRows or LatentStore
            Visible is what is available. Rows under several masks are encoded once; those of a
            store were encoded before.
        propagate : {"taylor", "sampling", "both", "none"}
            How the reconstruction variance reaches the output: equation 7, equation 10, both, or
            not at all (the point prediction with the head's own variance).
        num_samples : int
            Of the sampling method.
        num_weights : int
            Draws of the weights, where a guide was fitted over them (``sp.fit(..., guide=...)``):
            the source ``"weights"`` of equation 8, by equation 10. With 0 the weights are taken
            as known.
        seed : int
            Of both kinds of draws; the same seed gives the same result.

        Returns
        -------
        Prediction

        Raises
        ------
        ValueError
            If the model is not fitted, the modalities differ from the model's, `propagate` is
            none of the choices, or `num_weights` is negative.
        """
        self._require_initialized()
        check_choice("propagate", propagate, METHODS)
        if num_weights < 0:
            raise ValueError(f"`num_weights` must not be negative; got {num_weights}.")
        model, rows = self._evaluating(), cast(Batch | MaskedRows, in_memory(batch))
        latents = model.encode(rows)
        reconstruction = model.reconstruct(latents, latents.available)
        draws = Draws(num_samples, num_weights, seed)
        moments = moments_by_method(model, latents, reconstruction, propagate, draws)
        shown = rows.batch if isinstance(rows, MaskedRows) else rows
        return Prediction.collect(model, shown, moments, reconstruction)

    def _evaluating(self) -> "SURE":
        """The model in evaluation mode: a copy that shares its tensors, if it is not."""
        return self if not self.training else cast(SURE, shared_copy(self).eval())

    @torch.no_grad()
    def pretrained(self, batch: Batch, fill: str = "zero") -> Float[Tensor, "B C"]:
        """What the pretrained model says when missing latents are filled: the baselines.

        Parameters
        ----------
        batch : Batch
        fill : {"zero", "mean", "reconstruction"}
            Zero in the backbone's own units; the mean of the training rows; or equation 3.

        Returns
        -------
        Tensor, shape ``(B, C)``
            Outputs of the backbone's own readout: logits, or the target's units.

        Raises
        ------
        ValueError
            If the backbone has no readout of its own, or the model is not fitted.
        """
        self._require_initialized()
        model = self._evaluating()
        return pretrained_output(model, model.encode(batch), fill)

    # -- files ------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the fitted model to a directory: settings as JSON, weights as safetensors.

        Parameters
        ----------
        path : path
            A directory; made if it is not there.

        Raises
        ------
        ValueError
            If the model is not fitted.
        """
        self._require_initialized()
        saving.save(self, path)

    @classmethod
    def load(cls, path: str | Path, backbone: Backbone | None = None) -> "SURE":
        """Read what `save` wrote; predictions are the same, bit for bit.

        Parameters
        ----------
        path : path
            The directory.
        backbone : Backbone, optional
            Needed for a backbone of your own: the same architecture; its weights are in the file.

        Raises
        ------
        ValueError
            If the backbone is needed and not given, or the format is of another version.
        """
        return saving.load(cls, path, backbone)

    def __repr__(self) -> str:
        """What is pretrained, what is frozen, what is trained."""
        lines = [f"SURE on {type(self.backbone).__name__} (pretrained, frozen)"]
        if not self.initialized:
            kind = self.settings["reconstructor"]
            return lines[0] + (f", {kind} reconstructor" if kind else "") + ": not fitted yet"
        for name, (L, D) in self.space.shapes.items():
            lines.append(
                f"  {name}: latent " + (f"{L} x {D}" if name in self.space.sequences else f"{D}")
            )
        for part in ("backbone", "reconstructor", "head"):
            module = getattr(self, part)
            count = sum(p.numel() for p in module.parameters())
            trained = any(p.requires_grad for p in module.parameters())
            kind = type(module).__name__
            lines.append(
                f"  {part}: {kind}, {count:,} parameters, {'trained' if trained else 'frozen'}"
            )
        if self.weights is not None:
            lines.append(f"  weights: {self.weights!r}")
        return "\n".join(lines)


def evenly(num_rows: int, most: int) -> Tensor:
    """Numbers of at most `most` rows, evenly spread over all of them."""
    return torch.linspace(0, num_rows - 1, min(num_rows, most), dtype=torch.double).round().long()
