"""`Batch`: rows of multimodal data in which modalities may be missing.

Values by modality name and, beside them, masks that say what was recorded. Everything is checked
and cleaned once, when a batch is built; slicing and moving it afterwards costs one index operation
per tensor and no check.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from sure_pyro.data import display
from sure_pyro.data.fields import Modalities, each_field, floating_dtype, labelled, worded
from sure_pyro.data.join import joined
from sure_pyro.data.masks import blank, existing_entries, settle
from sure_pyro.data.narrow import narrowed
from sure_pyro.data.padding import check_padding
from sure_pyro.data.patterns import rows_by_pattern
from sure_pyro.data.split import split_rows
from sure_pyro.data.targets import check_target
from sure_pyro.data.validate import (
    check_available,
    check_features,
    check_finite,
    check_parts,
    check_rows,
    check_some_available,
)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Batch:
    """Features or latents by modality, with availability, targets and groups.

    Parameters
    ----------
    features : mapping of str to Tensor, shapes ``(B, *event_i)``, or to mappings of such tensors
        Values z_i or x_i, floating or integer (token numbers). Its order is the order of the
        modalities everywhere. A modality may have several fields, such as ``input_ids`` and
        ``attention_mask``, of the same rows; fields may also be bool, or of shape ``(B,)``.
    available : bool Tensor, shape ``(B, M)``, optional
        True where a modality was recorded; everything by default.
    target : Tensor, optional
        Integers ``(B,)`` are classes, floating ``(B,)`` or ``(B, C)`` regression, and 0 and 1
        ``(B, C)`` multi-label; kept as int64 for classes and floating for the others. What is open
        is read by `sure_pyro.data.targets.infer_task`, announced, and overridden by `task`.
    group : int64 Tensor, shape ``(B,)``, optional
        Rows of one group (subject, video, week) never straddle a split.
    recorded : mapping of str to bool Tensor, shapes ``(B, *event_i)``, optional
        For modalities of one tensor that are partly recorded: True where the entry was.
    padding : mapping of str to bool Tensor, shapes ``(B, L_i)``, optional
        For padded sequences ``(B, L_i, ...)``: True where the token exists, on whichever side the
        padding is. It is the mask of those fields whose second dimension is L_i. Where a modality
        has a field ``attention_mask`` of 0 and 1 ``(B, L_i)``, that is the mask.
    task : {"classification", "regression", "multilabel"}, optional
        Inferred from the target by `sure_pyro.data.targets.infer_task`.
    class_names : sequence of str, optional
        Of the classes or labels; ``"0", "1", ...`` by default for classes.
    test : bool Tensor, shape ``(B,)``, optional
        Rows that the data's author set aside.
    notes : mapping of str to str, optional
        By argument, how what was open to two readings was read. Shown with the batch; one on the
        target is added where `task` is not given and the target is open.
    allow_empty : bool
        Accept rows without any available modality.
    encoded : bool
        The values are latents of a backbone, in its units, in the place of features.

    Raises
    ------
    TypeError
        If a tensor is of the wrong kind.
    ValueError
        If a modality has a name that the library uses itself (`sure_pyro.data.names`), if shapes,
        names, devices or ranges do not fit, if a recorded value is NaN or infinite, if
        an available sequence has no token (`padding` or ``attention_mask`` all False: a sequence of
        length zero is an absent one), or if a row has no available modality. The message names the
        modality and the rows.

    Notes
    -----
    What is stored under ``available=False``, ``recorded=False`` or ``padding=False`` is overwritten
    by zero here, whatever it was. The length of an absent sequence is not known: its padding mask
    becomes True throughout. A modality of which no entry was recorded becomes unavailable.
    """

    features: dict[str, Any]  # Tensor, or dict[str, Tensor]
    available: Bool[Tensor, "B M"]
    target: Shaped[Tensor, " B"] | Shaped[Tensor, "B C"] | None
    group: Int64[Tensor, " B"] | None
    recorded: dict[str, Tensor]
    padding: dict[str, Tensor]
    task: str | None
    class_names: tuple[str, ...] | None
    test: Bool[Tensor, " B"] | None
    notes: dict[str, str]
    encoded: bool

    def __init__(
        self,
        features: Modalities,
        available: Tensor | None = None,
        target: Tensor | None = None,
        group: Tensor | None = None,
        recorded: Mapping[str, Tensor] | None = None,
        padding: Mapping[str, Tensor] | None = None,
        task: str | None = None,
        class_names: Sequence[str] | None = None,
        test: Tensor | None = None,
        notes: Mapping[str, str] | None = None,
        *,
        allow_empty: bool = False,
        encoded: bool = False,
    ):
        x = check_features(features)
        a = check_available(available, x)
        parts = check_parts(recorded, x)
        tokens = check_padding(padding, x, a)
        check_finite(x, a, tokens, parts)
        a, tokens, parts = settle(x, a, tokens, parts)
        check_some_available(a, allow_empty)
        y = check_target(target, len(a), a.device, task, class_names, floating_dtype(x))
        self.__dict__.update(
            features=blank(x, a, tokens, parts),
            available=a,
            target=y.values,
            group=check_rows(group, "group", x, torch.int64),
            recorded=parts,
            padding=tokens,
            task=y.task,
            class_names=y.class_names,
            test=check_rows(test, "test", x, torch.bool),
            notes=dict(notes or {}) | ({"target": y.note} if y.note else {}),
            encoded=encoded,
        )

    # -- what it is -----------------------------------------------------------------------------

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modality names, in the order of the columns of `available`."""
        return tuple(self.features)

    def __len__(self) -> int:
        return self.available.shape[0]

    def recorded_entries(self, name: str) -> Any:
        """Entries of a modality that were recorded: not absent, not padding.

        Returns
        -------
        bool Tensor, shape ``(B, *event)``
            For a modality with fields a dict of such masks.
        """
        if name in self.recorded:
            return self.recorded[name]
        available = self.available[:, self.modalities.index(name)]
        tokens = self.padding.get(name)
        return each_field(self.features[name], lambda x: existing_entries(x, available, tokens))

    def rows_by_pattern(self) -> dict[str, Tensor]:
        """Row numbers by availability pattern, such as ``{"image+text": ..., "text": ...}``."""
        return rows_by_pattern(self)

    def __repr__(self) -> str:
        return display.as_text(self)

    def _repr_html_(self) -> str:
        return display.as_html(self)

    # -- parts of it ----------------------------------------------------------------------------

    def __getitem__(self, rows: Any) -> Any:
        """Rows by number, slice, list, bool mask or index tensor; always a `Batch`, unchecked.

        With the name of a modality, its features, as of a dictionary.
        """
        if isinstance(rows, str):
            return self.features[rows]
        index = _as_index(rows)
        return self._map(lambda x: x[index])

    def complete(self) -> "Batch":
        """Pick the rows in which every modality is available and recorded in full."""
        complete = self.available.all(1)
        for name, parts in self.recorded.items():
            i = self.modalities.index(name)
            exists = existing_entries(parts, self.available[:, i], self.padding.get(name))
            complete = complete & (parts == exists).flatten(1).all(1)
        return self[complete]._with(recorded={})

    def split(
        self, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
    ) -> tuple["Batch", ...]:
        """Cut into training, validation and test rows, shuffled.

        Where the data's author marked `test` rows, those are the test part, and the validation part
        is cut from the rest in the ratio of the first two fractions. Groups never straddle a cut
        that is made here; without groups, classes are represented in proportion.

        Parameters
        ----------
        fractions : sequence of two or three float
            Of training, validation and test rows, or of the first two, which then hold no row that
            is marked as test; non-negative, they add up to 1.
        seed : int

        Returns
        -------
        train, validation, test : Batch
            As many as there are fractions.

        Raises
        ------
        ValueError
            If the fractions do not add up, or rows or groups do not suffice for every part.
        """
        parts = split_rows(
            len(self),
            fractions,
            seed,
            labels=self.target if self.task == "classification" else None,
            group=self.group,
            test=self.test,
        )
        return tuple(self[rows.to(self.available.device)] for rows in parts)

    # -- other forms of it ----------------------------------------------------------------------

    def to(self, *where: torch.device | str | int | torch.dtype) -> "Batch":
        """Move to a device, or change the dtype of floating values, or both.

        Parameters
        ----------
        *where : torch.device, str, int or torch.dtype
            A dtype must be floating; integers and masks keep theirs.

        Raises
        ------
        TypeError
            If a dtype is not floating.
        ValueError
            If the dtype has too few digits for how the values vary: see `sure_pyro.data.narrow`.
        """
        dtypes = [w for w in where if isinstance(w, torch.dtype)]
        if any(not dtype.is_floating_point for dtype in dtypes):
            raise TypeError(
                f"`to` changes floating values only, to a floating dtype; got {dtypes}."
            )
        for dtype in dtypes:
            self._check_digits(dtype)

        def move(x: Tensor) -> Tensor:
            for w in where:
                if not isinstance(w, torch.dtype) or x.is_floating_point():
                    x = x.to(w)
            return x

        return self._map(move)

    def _check_digits(self, dtype: torch.dtype) -> None:
        for name, modality in self.features.items():
            entries = labelled(name, self.recorded_entries(name)).values()
            for (words, x), kept in zip(worded(name, modality).items(), entries, strict=True):
                if x.is_floating_point():
                    narrowed(x, dtype, words, kept)
        if self.target is not None and self.target.is_floating_point():
            narrowed(self.target, dtype, "`target`")

    def replace(self, *, allow_empty: bool | None = None, **changes: Any) -> "Batch":
        """Copy with other fields, checked as in the constructor.

        Parameters
        ----------
        allow_empty : bool, optional
            By default rows without a modality are accepted if there are such rows already.
        **changes
            Fields of `Batch`. A new target or task drops the note on how the old one was read.
        """
        if allow_empty is None:
            allow_empty = not bool(self.available.any(1).all())
        fields = dict(self.__dict__)
        if {"target", "task"} & set(changes):
            fields["notes"] = {k: v for k, v in self.notes.items() if k != "target"}
        return Batch(**{**fields, **changes}, allow_empty=allow_empty)

    def restrict(
        self,
        available: Tensor | None = None,
        recorded: Mapping[str, Tensor] | None = None,
        *,
        allow_empty: bool = False,
    ) -> "Batch":
        """Hide what the masks do not keep; nothing that is missing comes back.

        Parameters
        ----------
        available : bool Tensor, shape ``(B, M)``, optional
        recorded : mapping of str to bool Tensor, shapes ``(B, *event_i)``, optional
        allow_empty : bool
            Accept that a row loses all that it has.

        Raises
        ------
        ValueError
            If shapes or names do not fit, or a row loses all that it has.
        """
        x = self.features
        kept = self.available & check_available(available, x)
        parts = check_parts(recorded, x)
        parts = self.recorded | {n: self.recorded_entries(n) & mask for n, mask in parts.items()}
        a, tokens, parts = settle(x, kept, self.padding, parts)
        check_some_available(a | ~self.available.any(1, keepdim=True), allow_empty)
        features = blank(x, a, tokens, parts)
        return self._with(features=features, available=a, padding=tokens, recorded=parts)

    @staticmethod
    def cat(batches: Sequence["Batch"]) -> "Batch":
        """Concatenate the rows of batches that have the same modalities, shapes and task.

        Raises
        ------
        ValueError
            If they do not fit together, or there is none.
        """
        fields = joined(list(batches))
        return batches[0]._with(**fields)

    def _map(self, fn: Callable[[Tensor], Tensor]) -> "Batch":
        """Apply to every tensor; the result is trusted."""

        def each(tensors: Modalities) -> dict[str, Any]:
            return {name: each_field(x, fn) for name, x in tensors.items()}

        def maybe(x: Tensor | None) -> Tensor | None:
            return None if x is None else fn(x)

        return self._with(
            features=each(self.features),
            available=fn(self.available),
            target=maybe(self.target),
            group=maybe(self.group),
            recorded=each(self.recorded),
            padding=each(self.padding),
            test=maybe(self.test),
        )

    def _with(self, **changes: Any) -> "Batch":
        """Copy with other fields, trusted: for values that come from a checked batch."""
        batch = object.__new__(Batch)
        batch.__dict__.update(self.__dict__)
        batch.__dict__.update(changes)
        return batch


def _as_index(rows: Any) -> Any:
    if isinstance(rows, Tensor | slice):
        return rows.reshape(1) if isinstance(rows, Tensor) and rows.ndim == 0 else rows
    if isinstance(rows, int | np.integer):
        return torch.tensor([int(rows)])
    index = np.asarray(rows)
    if index.size == 0:
        return torch.zeros(0, dtype=torch.int64)
    return torch.from_numpy(np.array(index))
