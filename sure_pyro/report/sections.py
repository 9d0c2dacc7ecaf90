"""What stands in a report, in order: tables and pictures, each with how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, eq=False)
class Section:
    """A table or a picture with one or two sentences on how to read it.

    Parameters
    ----------
    title : str
    how : str
        How to read it.
    table : DataFrame of str, optional
    picture : str, optional
        Name of the file.
    """

    title: str
    how: str
    table: pd.DataFrame | None = None
    picture: str | None = None


TABLES = {
    "task": (
        "What missing modalities cost, and what is won back",
        "{score} of the pretrained model with everything recorded and with gaps filled by zeros, "
        "by means and by reconstructions; and of SURE, whose head was trained on reconstructions. "
        "'Won back' is the share of what zeros lose; '-' where they lose nothing for certain. In "
        "brackets: 90 % intervals, paired by row, {unit}.",
    ),
    "second": (
        "The same answers, second score",
        "{second} of the same answers; {direction} is better.",
    ),
    "uncertainty": (
        "The reconstruction and its uncertainty",
        "The MSE is in units of the latent's variance (1: no better than the mean). 'Predicted / "
        "observed variance' should be 1; below, it is overconfident. Compare the correlation "
        "within masks with the attainable one, not with 1; pooled over masks it flatters.",
    ),
    "propagation": (
        "The prediction and its uncertainty",
        "Negative log-likelihood ({nll}) with the reconstruction taken as if it had been seen "
        "(point), and with its variance carried to the output by Taylor or by sampling: "
        "differences below 0 are gains. Area under risk and coverage ({aurc}): {aurc_better} ranks "
        "better. 'Taylor / sampling' compares the variance that missing modalities bring.",
    ),
    "targets": (
        "What can be reconstructed",
        "R² of each hidden modality against predicting its mean, over random masks: 1 is perfect, "
        "0 is nothing. With classes it splits: high between and zero within means that the class "
        "was found and nothing else. Verdicts use the lower ends of the 90 % intervals.",
    ),
    "objectives": (
        "The three objectives",
        "The same model trained in three ways, on the same test rows and masks: 'sure' is squared "
        "error with the correlation, 'elbo' the likelihood alone, 'elbo+pcc' both. The correlation "
        "alone does not see the size of a variance, so look at the ratio as well.",
    ),
}

PICTURES = {
    "examples_1": (
        "One quadrant hidden",
        "First test rows of each class, not chosen ones. Framed quadrants were reconstructed.",
    ),
    "examples_2": ("Two quadrants hidden", "The standard deviation should be large where it errs."),
    "examples_3": (
        "Three quadrants hidden",
        "With little to go by it should fall back on a blurred mean, and say so.",
    ),
    "examples": (
        "Hidden modalities and their reconstructions",
        "First test rows, only this modality hidden. About 95 % of the truth should lie in the "
        "band, which also holds what the latents do not tell of the features.",
    ),
    "image": (
        "Hidden images and their reconstructions",
        "First test rows of each class, only this modality hidden. The standard deviation should "
        "be large where the reconstruction errs.",
    ),
    "reconstructability": (
        "What can be reconstructed",
        "An interval that reaches 0 means nothing certain. High between classes and nothing within "
        "them means the class only.",
    ),
    "correlation_epochs": (
        "Correlation over epochs",
        "Validation rows, pooled over masks, mean over modalities. Compare the objectives; the "
        "marker is the epoch whose weights were kept, chosen by likelihood.",
    ),
    "correlations": (
        "Correlation, reached and attainable",
        "Reached near attainable means that variances spread as much as errors do. Above it they "
        "spread too little, far below it they are noise.",
    ),
    "reliability_variance": (
        "Is the stated sd right?",
        "Points above the diagonal: errors larger than stated. A flat line: it does not rank.",
    ),
    "pit": (
        "Is the stated distribution right?",
        "Truth within its predicted distribution, per mask (rows in brackets count entries). Flat "
        "is right, a U is overconfident, a hump too cautious.",
    ),
    "sparsification": (
        "Does it rank the reconstructions?",
        "The error that remains when the least sure rows go. It should fall towards the thin line.",
    ),
    "reliability_confidence": (
        "Is the stated probability right?",
        "Below the diagonal it is right less often than it says. Random masks.",
    ),
    "risk_coverage": (
        "Does it rank the predictions?",
        "Loss among the rows it answers, the surest first. Lower is better. Random masks.",
    ),
    "variance_shares": (
        "Where the variance of the prediction comes from",
        "Share by source, by number of hidden modalities. 'head' is what stays with everything "
        "recorded.",
    ),
    "cross_check": (
        "Do Taylor and sampling agree?",
        "A point per row and output, random masks. Off the band the linearisation fails.",
    ),
}


def table_section(name: str, table: pd.DataFrame, words: Mapping[str, str]) -> Section:
    """Section of a table; `words` fill the gaps of its text."""
    title, how = TABLES[name]
    return Section(title, how.format(**words), table=table)


def picture_section(name: str, verdicts: Mapping[str, str]) -> Section:
    """Section of a picture, by the name of its file without suffix.

    Where reconstructions are shown, the verdicts by modality stand beside them: a curve or an image
    looks like knowledge even where it is none.
    """
    modality = name.removeprefix("image_") if name.startswith("image_") else None
    title, how = PICTURES[name if modality is None else "image"]
    if modality is not None:
        title, verdicts = f"{title}: {modality}", {modality: verdicts.get(modality, "not measured")}
    if name.startswith(("examples", "image_")) and verdicts:
        how += " What was reconstructed: "
        how += "; ".join(f"of {target} {verdict}" for target, verdict in verdicts.items()) + "."
    return Section(title, how, picture=f"{name}.png")
