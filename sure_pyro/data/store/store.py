"""`LatentStore`: encode once, keep latents and masks on disk, read them in any order.

Latents of frozen encoders never change, so they are computed once and written to shards that are
never written again. Shards are mapped into memory: rows are copied out as they are asked for, and
what is not asked for costs no memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.random import generator
from sure_pyro.data.split import split_rows
from sure_pyro.data.store.create import Settings, as_json, create
from sure_pyro.data.store.journal import FILE as JOURNAL
from sure_pyro.data.store.layout import AVAILABLE, PADDING, SPLITS, VALUES, Tensors
from sure_pyro.data.store.manifest import FILE, Manifest
from sure_pyro.data.store.reading import Reader

MB = 2**20
Rows = TypeVar("Rows")


class LatentStore:
    """Latents of a dataset on disk, with their masks, targets, groups and official parts.

    Made by `LatentStore.create`, opened by `LatentStore.open`, or cut out of another one by
    `select`, which copies nothing.

    Parameters
    ----------
    folder : Path
    manifest : Manifest
    index : int64 Tensor, optional
        The rows of the folder that this store has; all if None.
    """

    def __init__(self, folder: Path, manifest: Manifest, index: Tensor | None = None):
        self.folder, self.manifest = folder, manifest
        self._index = index
        self._reader = Reader(folder, manifest)
        self._columns: Tensors = {}

    # -- making and opening ---------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: str | Path,
        blocks: Iterable[Sequence[int]],
        encode: Callable[[list[int]], Mapping[str, Any] | None],
        *,
        fingerprint: Any = None,
        class_names: Sequence[str] | None = None,
        task: str | None = None,
        dtype: torch.dtype | None = None,
        lengths: Mapping[str, int] | None = None,
        shard_rows: int = 65_536,
        shard_bytes: int = 256 * MB,
        progress_bar: bool = True,
    ) -> "LatentStore":
        """Encode rows of a dataset and write them, or go on where an earlier call was stopped.

        Every block is on the disk before the next one is encoded. After a kill only the block in
        work is lost: a row that was written is never encoded again, whatever blocks it stands in.
        Where the store is finished already, nothing is encoded.

        Parameters
        ----------
        path : path
            A folder; made if it is not there.
        blocks : iterable of sequences of int
            Numbers of rows of the dataset, each in one block only: `row_blocks` makes them.
        encode : callable
            From row numbers to a mapping of

            - ``values``: by modality ``(B, D)`` or ``(B, L, D)``, floating
            - ``available``: bool ``(B, M)``, or by modality ``(B,)`` or ``(B, L)``; all by default
            - ``padding``: bool, by modality ``(B, L)``, True where a token exists
            - ``target``, ``group``: as in `Batch`; ``split``: names out of ``"train",
              "validation", "test"``, or None, one per row
            - ``rows``: the row numbers that are there, if some could not be read

            all but the first if there are such; or None, if none of the rows could be read.
        fingerprint : JSON value, optional
            What the latents depend on, such as `sure_pyro.data.store.fingerprint` of the encoder.
        class_names : sequence of str, optional
        task : {"classification", "regression", "multilabel"}, optional
        dtype : torch.dtype, optional
            Of the latents on disk: float32, float16, bfloat16 or float64; as they come by default.
        lengths : mapping of str to int, optional
            L of sequences whose length differs between blocks: filled up, and marked as padding. By
            default that of the first block.
        shard_rows, shard_bytes : int
            A shard is full at whichever comes first.
        progress_bar : bool

        Returns
        -------
        LatentStore

        Raises
        ------
        ValueError
            If the fields do not fit each other or the blocks before, if an available latent is NaN
            or infinite, or if the folder holds a store with other settings.
        RuntimeError
            If another process is writing the store.
        """
        settings = Settings(
            as_json(fingerprint),
            None if class_names is None else list(class_names),
            task,
            dtype,
            dict(lengths or {}),
            int(shard_rows),
            int(shard_bytes),
        )
        create(Path(path), blocks, encode, settings, progress_bar)
        return cls.open(path, verify=False)

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True) -> "LatentStore":
        """Open a finished store.

        Parameters
        ----------
        path : path
        verify : bool
            Compare every byte with its checksum, at the speed of the disk; by default. Sizes are
            always compared.

        Raises
        ------
        FileNotFoundError
            If there is no store, or one that is not finished.
        ValueError
            If the manifest or shards are not what was written, with the names of the files.
        """
        folder = Path(path)
        if not (folder / FILE).is_file():
            unfinished = (folder / JOURNAL).exists()
            raise FileNotFoundError(
                f"The store {folder} is not finished: call `LatentStore.create` again as before."
                if unfinished
                else f"There is no store in {folder}: it has no {FILE}."
            )
        store = cls(folder, Manifest.read(folder))
        store._reader.check(verify)
        return store

    def verify(self) -> None:
        """Compare every byte of the store with its checksum.

        Raises
        ------
        ValueError
            With the names of the files that are not what was written.
        """
        self._reader.check(True)

    # -- what it is -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.manifest.rows if self._index is None else len(self._index)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modality names, in order."""
        return self.manifest.layout.modalities

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """``(L_i, D_i)`` by modality; L = 1 for a vector."""
        return self.manifest.layout.shapes

    @property
    def sequences(self) -> frozenset[str]:
        """The modalities whose latents are sequences (L may still be 1)."""
        return self.manifest.layout.sequences

    @property
    def padded(self) -> frozenset[str]:
        """The modalities whose sequences have padding."""
        columns = self.manifest.layout.columns
        return frozenset(name for name in self.modalities if PADDING + name in columns)

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        """Dtype of the latents on disk, by modality."""
        columns = self.manifest.layout.columns
        return {name: columns[VALUES + name].dtype for name in self.modalities}

    @property
    def fingerprint(self) -> Any:
        """What the latents depend on, as `create` was told."""
        return self.manifest.settings["fingerprint"]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes or labels."""
        names = self.manifest.settings["class_names"]
        return None if names is None else tuple(names)

    @property
    def task(self) -> str | None:
        """Classification, regression or multilabel, as `create` was told."""
        return self.manifest.settings["task"]

    @property
    def skipped(self) -> int:
        """Rows of the dataset that could not be read and were left out of the whole store."""
        return self.manifest.skipped

    @property
    def target(self) -> Shaped[Tensor, " B"] | Shaped[Tensor, "B C"] | None:
        """Targets of all rows, as in `Batch`."""
        return self._column("target")

    @property
    def group(self) -> Int64[Tensor, " B"] | None:
        """Group of every row."""
        return self._column("group")

    @property
    def source(self) -> Int64[Tensor, " B"]:
        """Number of every row in the dataset that was encoded."""
        source = self._column("source")
        assert source is not None
        return source

    @property
    def splits(self) -> dict[str, Bool[Tensor, " B"]]:
        """Rows of each official part that is not empty."""
        codes = self._column("split")
        masks = {} if codes is None else {name: codes == i for i, name in enumerate(SPLITS)}
        return {name: mask for name, mask in masks.items() if mask.any()}

    @property
    def available(self) -> Bool[Tensor, "B M"]:
        """Modalities of which something was recorded."""
        if "available" not in self._columns:
            whole = self._reader.available()
            self._columns["available"] = whole if self._index is None else whole[self._index]
        return self._columns["available"]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {L} x {D}" for name, (L, D) in self.shapes.items())
        return f"<LatentStore {self.folder}: {len(self)} rows; {shapes}>"

    # -- rows of it -----------------------------------------------------------------------------

    def select(self, rows: Any) -> "LatentStore":
        """Some of the rows, by number, slice, list, bool mask or index tensor; nothing is copied.

        For a part of the official split: ``store.select(store.splits["train"])``.
        """
        return LatentStore(self.folder, self.manifest, self._positions(rows))

    def split(
        self, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
    ) -> tuple["LatentStore", ...]:
        """Cut into training, validation and test rows, as `Batch.split` does.

        The official test part, where there is one, is the test part. Groups never straddle a cut
        that is made here.
        """
        labels = self.target if self.task == "classification" else None
        parts = split_rows(
            len(self),
            fractions,
            seed,
            labels=labels,
            group=self.group,
            test=self.splits.get("test"),
        )
        return tuple(self.select(rows) for rows in parts)

    def read(self, rows: Any) -> dict[str, Any]:
        """Copy rows out of the store, in the order asked for.

        Parameters
        ----------
        rows : int, slice, list, bool mask or index tensor

        Returns
        -------
        dict
            ``values``, ``available`` and ``padding`` by modality, ``(B, L, D)`` and ``(B, L)``, and
            ``target``, ``group`` and ``source``, each ``(B, ...)`` or None.
        """
        return self._fields(self._reader.read(self._positions(rows), {}))

    def batch(self, rows: Any = slice(None)) -> Batch:
        """Rows in memory, as a `Batch` of latents, which a model takes like one of features.

        Parameters
        ----------
        rows : int, slice, list, bool mask or index tensor
            All of them by default.
        """
        return self.as_batch(self.read(rows))

    def as_batch(self, fields: Mapping[str, Any]) -> Batch:
        """What `read` or `blocks` gave, as a `Batch` of latents."""
        features, recorded = {}, {}
        available = torch.stack([a.any(1) for a in fields["available"].values()], 1)
        for i, (name, z) in enumerate(fields["values"].items()):
            known = fields["available"][name]
            exists = fields["padding"].get(name, torch.ones_like(known))
            if name not in self.sequences:
                z, known = z[:, 0], known[:, 0]
            elif not torch.equal(known, exists & available[:, i : i + 1]):
                recorded[name] = known.unsqueeze(-1).expand_as(z)
            features[name] = z
        return Batch(
            features,
            available,
            fields["target"],
            fields["group"],
            recorded,
            fields["padding"],
            self.task,
            self.class_names,
            encoded=True,
            allow_empty=True,
        )

    def blocks(
        self, batch_size: int, shuffle_seed: int | None = None, memory: int = 256 * MB
    ) -> Iterator[dict[str, Any]]:
        """All rows, some at a time, as `read` gives them.

        Parameters
        ----------
        batch_size : int
            The last block may be smaller.
        shuffle_seed : int, optional
            Shards come in random order, and rows in random order out of as many shards as fit in
            `memory`; in the order of the store if None. Rows that lie far apart in a store which is
            larger than that never meet in a block: make the store from shuffled rows if neighbours
            are alike (``row_blocks(..., seed=0)``).
        memory : int
            Bytes of shards that are mapped at a time; at least one shard is. Blocks come on top.

        Yields
        ------
        dict
        """
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1; got {batch_size}.")
        positions = self._positions(slice(None))
        for rows in self._reader.blocks(positions, batch_size, shuffle_seed, memory):
            yield self._fields(rows)

    # -- how ------------------------------------------------------------------------------------

    def _positions(self, rows: Any) -> Tensor:
        """Rows of the folder, from rows of this store."""
        if isinstance(rows, Tensor) and rows.dtype != torch.bool:
            rows = rows.detach().cpu().reshape(-1)
            if len(rows) and not -len(self) <= int(rows.min()) <= int(rows.max()) < len(self):
                raise IndexError(f"The store has {len(self)} rows; got {rows.tolist()[:5]}.")
            rows = torch.where(rows < 0, rows + len(self), rows)
            return rows if self._index is None else self._index[rows]
        everything = torch.arange(len(self)) if self._index is None else self._index
        index = rows if isinstance(rows, slice) else torch.as_tensor(rows).cpu()
        if isinstance(index, Tensor) and index.numel() == 0:
            index = index.to(torch.int64)
        return everything[index].reshape(-1)

    def _fields(self, rows: Tensors) -> dict[str, Any]:
        def by_modality(prefix: str) -> Tensors:
            return {n: rows[prefix + n] for n in self.modalities if prefix + n in rows}

        return {
            "values": by_modality(VALUES),
            "available": by_modality(AVAILABLE),
            "padding": by_modality(PADDING),
            "target": rows.get("target"),
            "group": rows.get("group"),
            "source": rows["source"],
        }

    def _column(self, name: str) -> Tensor | None:
        """A small column of all rows, read once."""
        if name not in self.manifest.layout.columns:
            return None
        if name not in self._columns:
            whole = self._reader.column(name)
            self._columns[name] = whole if self._index is None else whole[self._index]
        return self._columns[name]


def row_blocks(rows: int, block_rows: int = 64, seed: int | None = None) -> list[list[int]]:
    """Numbers 0 to ``rows - 1`` in blocks, for `LatentStore.create`.

    Parameters
    ----------
    rows : int
    block_rows : int
        Rows that are encoded at a time.
    seed : int, optional
        For a random order, so that every shard is a sample of the dataset.
    """
    numbers = (
        torch.arange(rows) if seed is None else torch.randperm(rows, generator=generator(seed))
    )
    return [block.tolist() for block in numbers.split(block_rows) if len(block)]


def in_memory(rows: Rows | LatentStore) -> Rows | Batch:
    """A store as a `Batch` of all its latents; anything else as it is."""
    return rows.batch() if isinstance(rows, LatentStore) else rows
