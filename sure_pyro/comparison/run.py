"""`compare`: fit models over datasets and seeds, score them under the same masks, one table."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from sure_pyro.backbones import Backbone
from sure_pyro.comparison.cell import BACKBONES, Protocol
from sure_pyro.comparison.comparison import Comparison
from sure_pyro.comparison.data import resolve_data
from sure_pyro.comparison.jobs import Failed, Job, run_jobs
from sure_pyro.comparison.plan import Plan, with_defaults
from sure_pyro.comparison.recipe import resolve
from sure_pyro.comparison.results import Failure
from sure_pyro.comparison.store import Store
from sure_pyro.evaluation.masks import Mask


def compare(
    models: Any,
    data: Any,
    *,
    seeds: int | Sequence[int] = 3,
    masks: Mapping[str, Mask] | None = None,
    reference: str | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    fit: Mapping[str, Any] | None = None,
    predict: Mapping[str, Any] | None = None,
    backbone: Any = "mlp",
    pretraining: Mapping[str, Any] | None = None,
    progress_bar: bool = True,
) -> Comparison:
    """Compare uncertainty models on equal rows, masks and backbones.

    A cell is one model, dataset and seed. The seed rules everything: how the data are cut, the
    backbone, the weights, the masks and the draws; so the scatter over seeds holds all of it, and
    models of one seed can be compared in pairs. The backbone is pretrained once for each dataset
    and seed, and a point estimate is fitted once for all recipes that differ only in what follows
    it. Every metric of `sure_pyro.metrics.METRICS` is computed over all masks, for each number of
    hidden modalities and for each mask pattern.

    Parameters
    ----------
    models : str, sequence or mapping
        Names (``"sure"``, ``"elbo+pcc"``, ``"laplace"``, ``"elbo/swag"``, ``"zero"``: see
        `sure_pyro.comparison.recipe`), or a mapping of names of your choice to names, `Recipe`,
        `Filling`, functions as in `Built`, or fitted models (one, or a mapping of seed to model).
    data : Batch, LatentStore, tuple of them, str, Path, Callable or mapping
        ``(train, validation, test)``; a `Batch`, a `LatentStore` (training rows stay on disk, up to
        20,000 rows validate and as many test; `backbone` is what it was encoded by), an embedded
        dataset by name or an ``.npz`` path, which are cut by ``split(seed=seed)``; a function
        ``seed -> (train, validation, test)``; or a mapping of names to such, for several datasets.
    seeds : int or sequence of int
        How many (0, 1, ...), or which.
    masks : mapping of str to Callable, optional
        Ways to hide, ``(batch, seed) -> batch``. By default every test row under a random mask of
        every size.
    reference : str, optional
        Model that differences are taken from; the first by default.
    out : path, optional
        Folder in which finished cells, point estimates and backbones are kept, and found again by
        a later call with the same settings. Whatever is changed is done anew.
    workers : int
        Parallel processes, one thread each, by joblib: those of a cluster under
        ``joblib.parallel_config(backend=...)``, with `out` on a disk that all of them see.
    fit, predict : mapping, optional
        Keywords of `sure_pyro.fit` and of `predict` for all recipes, such as ``{"epochs": 20}``.
    backbone : {"mlp", "transformer"}, Backbone or Callable
        A small one that is pretrained here, your pretrained one, or a function
        ``(train, validation, seed) -> Backbone``.
    pretraining : mapping, optional
        Keywords of `sure_pyro.pretrain`.
    progress_bar : bool

    Returns
    -------
    Comparison
        With the cells that failed and why. After an interruption by hand, with what was finished
        until then and ``interrupted = True``.

    Raises
    ------
    ValueError
        If a name is unknown, or data or models can not be compared on.

    Examples
    --------
    >>> import sure_pyro as sp
    >>> result = sp.compare("sure,elbo", "digits", seeds=3, workers=2)  # doctest: +SKIP
    >>> result.summary()  # doctest: +SKIP
    """
    specs = {name: with_defaults(spec, fit or {}) for name, spec in resolve(models).items()}
    cuts = resolve_data(data)
    seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(int(s) for s in seeds)
    reference = _checked(reference or next(iter(specs)), specs, seeds, workers, backbone)
    with contextlib.ExitStack() as stack:
        root = out or stack.enter_context(tempfile.TemporaryDirectory(prefix="sure_pyro-"))
        plan = Plan(
            Store(Path(root)), Protocol(masks, predict or {}), backbone, pretraining or {}
        ).add(cuts, specs, seeds)
        failures, interrupted = _run(plan, workers, progress_bar)
    tasks = {name: str(cut(seeds[0])[2].task) for name, cut in cuts.items()}
    cells = {
        (name, model, seed): plan.finished[name, model, seed]
        for name in cuts
        for model in specs
        for seed in seeds
        if (name, model, seed) in plan.finished
    }
    return Comparison.of(cells, tasks, tuple(specs), reference, failures, interrupted)


def _run(plan: Plan, workers: int, progress_bar: bool) -> tuple[tuple[Failure, ...], bool]:
    """Run the jobs of a plan, keep what is finished; what failed, and whether it was stopped."""
    failures: list[Failure] = []
    cells = len(plan.cells) + len(plan.finished)
    with tqdm(
        total=cells, initial=len(plan.finished), desc="cells", unit="cell", disable=not progress_bar
    ) as bar:
        try:
            for job, result in run_jobs(list(plan.jobs.values()), workers):
                _keep(plan, job, result, failures)
                if job.key in plan.cells:
                    bar.update()
                bar.set_postfix_str(f"{len(failures)} failed" if failures else "")
        except KeyboardInterrupt:
            return tuple(failures), True
    return tuple(failures), False


def _keep(plan: Plan, job: Job, result: Any, failures: list[Failure]) -> None:
    if job.key in plan.backbones and not isinstance(result, Failed):
        settings, parts = plan.backbones[job.key]
        plan.store.write_backbone(settings, result, parts.train)
    if job.key not in plan.cells:
        return  # if it failed, so do the cells that need it, and they are told
    names, settings = plan.cells[job.key]
    if isinstance(result, Failed):
        failures.append(Failure(*names, result.reason, result.details))
        return
    plan.store.write_cell(names, settings, result)
    plan.finished[names] = result


def _checked(reference: str, specs, seeds: tuple[int, ...], workers: int, backbone: Any) -> str:
    if reference not in specs:
        raise ValueError(f"`reference` must be one of {list(specs)}; got {reference!r}.")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` needs at least one seed, each once; got {seeds}.")
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1; got {workers}.")
    if not (isinstance(backbone, Backbone) or callable(backbone) or backbone in BACKBONES):
        raise ValueError(
            f"`backbone` must be one of {list(BACKBONES)}, a Backbone or a function; "
            f"got {backbone!r}."
        )
    return reference
