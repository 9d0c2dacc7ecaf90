"""How a batch shows itself: as text, and as a table in notebooks."""

import html
from typing import TYPE_CHECKING

from torch import Tensor

from sure_pyro.data.fields import ATTENTION_MASK, labelled, tokens_of
from sure_pyro.data.padding import attention_mask
from sure_pyro.data.patterns import mask_patterns

if TYPE_CHECKING:
    from sure_pyro.data.batch import Batch


def as_text(batch: "Batch") -> str:
    """Rows, task, modalities and their fields with shapes and share available, patterns, notes."""
    rows = _table(batch)
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    notes = [f"  {note}" for note in batch.notes.values()]
    kind = "Latents" if batch.encoded else "Batch"
    return "\n".join([f"{kind} of {_headline(batch)}", *lines, f"  {_footer(batch)}", *notes])


def as_html(batch: "Batch") -> str:
    """Say the same as an HTML fragment."""
    head = "".join(f"<th>{c}</th>" for c in ("modality", "shape", "type", "available"))
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
        for cells in _table(batch)
    )
    return (
        f"<p><b>Batch</b> of {html.escape(_headline(batch))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>{html.escape(_footer(batch))}</p>"
        + "".join(f"<p>{html.escape(note)}</p>" for note in batch.notes.values())
    )


Cells = tuple[str, str, str, str]


def _table(batch: "Batch") -> list[Cells]:
    """One line per modality, or per field of one."""
    return [
        (
            label,
            str(tuple(x.shape[1:])),
            str(x.dtype).removeprefix("torch."),
            _notes(batch, name, x),
        )
        for name, modality in batch.features.items()
        for label, x in labelled(name, modality).items()
    ]


def _notes(batch: "Batch", name: str, x: Tensor) -> str:
    available = batch.available[:, batch.modalities.index(name)]
    notes = [f"{100 * available.double().mean().item():.1f} %" if len(batch) else "-"]
    if name in batch.recorded:
        notes.append("recorded in parts")
    if tokens_of(x, batch.padding.get(name)) is not None:
        by_field = attention_mask(batch.features[name], name) is not None
        notes.append(f"padding from {ATTENTION_MASK}" if by_field else "padded")
    return ", ".join(notes)


def _headline(batch: "Batch") -> str:
    count = f"{len(batch):,} {'row' if len(batch) == 1 else 'rows'}"
    if batch.task is None:
        return f"{count}, no task"
    if batch.class_names is not None:
        kind = "classes" if batch.task == "classification" else "labels"
        return f"{count}, {batch.task} ({len(batch.class_names)} {kind})"
    outputs = 1 if batch.target is None or batch.target.ndim == 1 else batch.target.shape[1]
    return f"{count}, {batch.task} ({outputs} {'output' if outputs == 1 else 'outputs'})"


def _footer(batch: "Batch") -> str:
    patterns = len(set(mask_patterns(batch)))
    parts = [f"{patterns} mask {'pattern' if patterns == 1 else 'patterns'}"]
    if batch.group is not None:
        parts.append(f"{len(batch.group.unique())} groups")
    if batch.test is not None:
        parts.append(f"{int(batch.test.sum()):,} rows marked as test")
    if batch.available.device.type != "cpu":
        parts.append(f"on {batch.available.device}")
    return ", ".join(parts)
