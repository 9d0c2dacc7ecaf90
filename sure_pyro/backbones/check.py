"""Proof on a few rows that a backbone can be used with missing modalities."""

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from sure_pyro.backbones.compare import close, exchanged, rounding
from sure_pyro.backbones.cut.structure import tensors
from sure_pyro.backbones.seam import Backbone, Latent, Tokens, values_of
from sure_pyro.backbones.stand_in import complete_rows
from sure_pyro.data import Batch

ROWS, ROWS_UNCUT = 6, 32  # a gate may be open in most rows


@torch.no_grad()
def check_backbone(backbone: Backbone, batch: Batch) -> None:
    """Verify that a backbone is what it must be, on complete rows put together from the batch.

    Features are exchanged between rows, never made up: what a network meets here it meets in the
    data.

    Parameters
    ----------
    backbone : Backbone
    batch : Batch
        (Training) rows.

    Raises
    ------
    ValueError
        If the network can not calculate with features of this dtype, if `encode` gives other
        modalities than it names, if the latent of one modality changes with the features of
        another, if a row of the fusion changes with another row, if anything changes from call to
        call, or if the model says something else when it is cut than when it is not. The message
        says which and what to do.
    """
    rows = complete_rows(batch, ROWS)
    latents = _encode(backbone, rows)
    _check_form(backbone, latents)
    fused = backbone.fuse(latents)
    _check_repeatable(backbone, rows, latents, fused)
    _check_apart(backbone, rows, latents)
    _check_rows(backbone, latents, fused)
    _check_uncut(backbone, complete_rows(batch, min(ROWS_UNCUT, len(batch), backbone.batch_size)))
    _warn_of_padding(backbone, latents, fused)


def _encode(backbone: Backbone, rows: Batch) -> dict[str, Latent]:
    """Latents; a network that can not calculate with such features says so in torch's words."""
    try:
        return backbone.encode(rows)
    except RuntimeError as error:
        found = {x.dtype for _, x in tensors(dict(rows.features)) if x.is_floating_point()}
        expected = {p.dtype for p in backbone.parameters() if p.is_floating_point()}
        if found <= expected:
            raise
        raise ValueError(
            f"The features are {_names(found)}, the backbone's parameters {_names(expected)}, and "
            f"it can not calculate with both ({error}). Convert one of them: the data by "
            f"`sp.from_arrays(..., dtype={_names(expected)})`, or the network, before it is "
            f"wrapped, by `.to({_names(found)})`."
        ) from error


def _names(dtypes: set[torch.dtype]) -> str:
    return " and ".join(sorted(map(str, dtypes)))


def _check_form(backbone: Backbone, latents: Mapping[str, Latent]) -> None:
    if tuple(latents) != backbone.modalities:
        raise ValueError(
            f"`encode` must return the modalities {backbone.modalities} in this order; "
            f"got {tuple(latents)}."
        )
    for name, latent in latents.items():
        z = values_of(latent)
        if isinstance(latent, Tokens):
            z = z[latent.exists]
        if not bool(z.isfinite().all()):
            raise ValueError(
                f"The latent of {name!r} is NaN or infinite for rows in which {name!r} is "
                "recorded. Look at its features, and at masks that hide every token of a row."
            )


def _check_repeatable(backbone: Backbone, rows: Batch, latents, fused: Tensor) -> None:
    again = backbone.encode(rows)
    changed = [n for n in latents if not close(values_of(again[n]), values_of(latents[n]))]
    where = f"latent of {changed[0]!r}" if changed else "representation"
    if changed or not close(backbone.fuse(latents), fused):
        raise ValueError(
            f"The {where} changes from call to call with the same rows: the network draws random "
            "numbers in evaluation mode (dropout with `training=True`?) or remembers earlier "
            "calls. Make it deterministic: uncertainty of the weights comes from "
            '`sp.fit(..., guide="dropout")`.'
        )


def _check_apart(backbone: Backbone, rows: Batch, latents: Mapping[str, Latent]) -> None:
    for moved in backbone.modalities:
        changed = backbone.encode(exchanged(rows, moved))
        for name in backbone.modalities:
            if name != moved and not close(values_of(changed[name]), values_of(latents[name])):
                raise ValueError(
                    f"The latent of {name!r} changes with the features of {moved!r}: the wrapped "
                    "latents must be taken before the modalities meet. Name earlier submodules."
                )


def _check_rows(backbone: Backbone, latents: Mapping[str, Latent], fused: Tensor) -> None:
    alone = {name: _first_row(latent) for name, latent in latents.items()}
    single = backbone.fuse(alone)
    if not torch.allclose(fused[:1].double(), single.double(), rtol=1e-3, atol=_slack(fused)):
        raise ValueError(
            "The first row of `fuse` changes with the rows beside it, so uncertainty can not be "
            "propagated row by row. Call `backbone.freeze()` (batch-norm in training mode mixes "
            "rows), or remove what mixes rows."
        )


def _slack(fused: Tensor) -> float:
    # Products of another number of rows are summed in another order.
    return 10 * rounding(fused) * (1 + float(fused.abs().max()))


def _check_uncut(backbone: Backbone, rows: Batch) -> None:
    whole = backbone.uncut(rows)
    if whole is None:
        return
    fused = backbone.fuse(backbone.encode(rows))
    if not close(fused, whole):
        raise ValueError(backbone.explain(rows, float((fused - whole).abs().max())))


def _warn_of_padding(backbone: Backbone, latents: Mapping[str, Latent], fused: Tensor) -> None:
    """Say so if the fusion reads tokens that are padding."""
    for name, latent in latents.items():
        if not isinstance(latent, Tokens) or bool(latent.exists.all()):
            continue
        shifted = latent.values + (~latent.exists).unsqueeze(-1) * latent.values.abs().max()
        moved = {**latents, name: Tokens(shifted, latent.exists)}
        if not close(backbone.fuse(moved), fused):
            warnings.warn(
                f"The fusion reads tokens of {name!r} that are padding: its output changes with "
                "what stands there. It says what it always said, but its padding counts as data. "
                f"If the network takes a mask, hand it over: as a field of {name!r} in the data "
                '(`{"input_ids": ..., "attention_mask": ...}`), or by `call=lambda net, batch: '
                f"net(..., mask=batch.padding[{name!r}])`.",
                stacklevel=3,
            )


def _first_row(latent: Latent) -> Latent:
    if isinstance(latent, Tokens):
        return Tokens(latent.values[:1], latent.exists[:1])
    return latent[:1]
