"""`CorrelationELBO`: the correlation objective next to the ELBO, equation 6, for any Pyro model."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence

import torch
from pyro.infer import Trace_ELBO
from pyro.infer.util import torch_item
from pyro.poutine import Trace
from torch import Tensor

from sure_pyro.equations import objective
from sure_pyro.objectives.concordance_correlation import concordance
from sure_pyro.objectives.correlation import pearson
from sure_pyro.objectives.distributed import num_processes, of_all_processes, sum_over_processes
from sure_pyro.objectives.memory import PairMemory
from sure_pyro.objectives.moments import NoPairError
from sure_pyro.objectives.pair import (
    CHOICES,
    observed_sites,
    pair_of_site,
    refuse_infinite,
    scored_numbers,
)
from sure_pyro.objectives.rank_correlation import kendall, spearman

Statistic = Callable[[Tensor, Tensor, Tensor | None], Tensor]
STATISTICS: dict[str, Statistic] = {
    "pearson": pearson,
    "spearman": spearman,
    "kendall": kendall,
    "concordance": concordance,
}
REMEDY = (
    "Its likelihood counts all the same. Where you have an uncertainty of your own and the "
    "distribution has a mean, pass `infer={'uncertainty': u}` to `pyro.sample`; to leave it out "
    "without this warning, name the others in `sites`."
)
NO_SITE = (
    "No observed site is left whose uncertainty and error could be correlated: {left_out}. Use a "
    "distribution with a mean and a variance, pass `infer={{'uncertainty': u}}` to `pyro.sample` "
    "where there is a mean, or train by the likelihood alone: `CorrelationELBO(0.0)`."
)


class CorrelationELBO(Trace_ELBO):
    r"""Evidence lower bound with a correlation of uncertainty and error beside it, equation 6.

    .. math:: L = -\mathrm{ELBO} / N
                  + \lambda \sum_{s\,\in\,\mathrm{sites}} w_s\,(1 - \rho(u_s, e_s))

    The traces are run once, by `Trace_ELBO`; the pair (u, e) of each observed site is read from
    them (see `uncertainty_error_pair`). So no model has to know about the correlation, and no
    second forward pass is paid. N counts the observed numbers (rows times entries, times the scale
    of a subsampled plate): lambda then means the same for every batch size and width.

    **Data-parallel training.** Where `torch.distributed` is initialised, every process gets the
    loss of the *global* batch: the correlation of the rows of all processes (the mean of their
    own correlations is another number), and the sum of the ELBOs over the sum of the N. The
    average of the processes' gradients, which data-parallel wrappers take, is its gradient. All
    processes must call it, with the same sites; they may differ in rows. Their ELBOs are added,
    so with latent variables that all rows share, scale the likelihood as for any mini-batch.

    Parameters
    ----------
    weight : float
        lambda; 0 gives the ELBO alone.
    statistic : {"pearson", "spearman", "kendall", "concordance"} or callable
        rho: a function of this room by name, or any ``(u, e, mask) -> scalar`` in [-1, 1].
    sites : sequence of str or dict of str to float, optional
        Observed sites that are correlated, with weights w_s if a dictionary. By default all
        whose distribution has a mean and a variance; the others are left out with a warning, once
        for each. A site that `obs_mask` made goes by its own name, without ``_observed``.
    schedule : callable, optional
        Progress of the training in [0, 1] to a factor on lambda. Whoever trains sets `progress`.
    detach_error : bool
        Keep gradients out of the errors (default). Otherwise nearly half of the samples lower the
        loss by making a *larger* error.
    uncertainty : {"variance", "sd"}
        What u is; see `uncertainty_error_pair`, also for the next two.
    error : {"squared", "absolute"}
        What e is. The paper pairs variance with squared error.
    per : {"row", "entry", "dimension"}
        Correlate rows, averaged over their entries (default); all entries as if each were a row;
        or each entry's rows on their own, and average the correlations.
    memory : int
        Past pairs kept for each site, which enlarge the sample when batches are small; see
        `PairMemory`. Only calls with gradients remember. 0 keeps none.
    **options
        Of `pyro.infer.Trace_ELBO`.

    Attributes
    ----------
    progress : float
        Set by the training loop, read by `schedule`.
    terms : dict of str to Tensor
        Of the last call, detached: ``"elbo"`` (per observed number) and ``"rho/<site>"``.
    left_out : dict of str to str
        Of the last call: observed sites that could not be correlated, and why; their likelihood
        counts all the same. A site is left out if its distribution has no mean and variance in
        closed form, lives on a circle, or has an infinite or undefined one in an entry that counts.

    Raises
    ------
    ValueError
        If an argument is not among its choices; when called, if a name in `sites` is no observed
        site of the model or can not be correlated, or if no site is left while lambda > 0.

    Examples
    --------
    >>> import pyro, torch, pyro.distributions as dist
    >>> from pyro.nn import PyroModule
    >>> class Regression(PyroModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.net = PyroModule[torch.nn.Linear](1, 2)
    ...     def forward(self, x, y):
    ...         loc, raw = self.net(x).unbind(-1)
    ...         with pyro.plate("rows", len(x)):
    ...             return pyro.sample("y", dist.Normal(loc, raw.exp()), obs=y)
    >>> class NoGuide(PyroModule):
    ...     def forward(self, x, y): pass
    >>> step = CorrelationELBO(weight=1.0)(Regression(), NoGuide())
    >>> step(torch.randn(8, 1), torch.randn(8)).backward()
    """

    def __init__(
        self,
        weight: float = 1.0,
        *,
        statistic: str | Statistic = "pearson",
        sites: Sequence[str] | Mapping[str, float] | None = None,
        schedule: Callable[[float], float] | None = None,
        detach_error: bool = True,
        uncertainty: str = "variance",
        error: str = "squared",
        per: str = "row",
        memory: int = 0,
        **options,
    ):
        super().__init__(**options)
        _check_pairing(uncertainty=uncertainty, error=error, per=per)
        if not weight >= 0:
            raise ValueError(f"`weight` (lambda) must be at least 0; got {weight}.")
        self.weight = weight
        self.statistic = _statistic(statistic)
        self.sites = sites
        self.schedule = schedule
        self.detach_error = detach_error
        self.pairing = {"uncertainty": uncertainty, "error": error, "per": per}
        self.memory = _memory(memory, self)
        self.progress = 0.0
        self.terms: dict[str, Tensor] = {}
        self.left_out: dict[str, str] = {}
        self._said: set[str] = set()

    def _differentiable_loss_particle(self, model_trace: Trace, guide_trace: Trace):
        loss, surrogate = super()._differentiable_loss_particle(model_trace, guide_trace)
        # Vectorised particles come as one trace, and Pyro divides its loss by their number later.
        particles = self.num_particles if self.vectorize_particles else 1
        N = scored_numbers(model_trace) / particles
        like = surrogate if isinstance(surrogate, Tensor) else torch.zeros(())
        if num_processes() > 1:
            loss, N = sum_over_processes(loss, N, device=like.device)
        N = max(N, 1.0)
        lam, rho = self._correlations(model_trace, math.isfinite(loss))
        lam = [particles * lam_s for lam_s in lam]
        self.terms["elbo"] = torch.full_like(like, -loss / N / particles, requires_grad=False)
        value = objective(-loss, N, lam, [torch_item(rho_s) for rho_s in rho])
        # Gradients of the processes are averaged.
        return value, objective(-surrogate, N / num_processes(), lam, rho)

    def loss(self, model, guide, *args, **kwargs) -> float:
        """Value of equation 6, without gradients."""
        with torch.no_grad():
            return torch_item(self.differentiable_loss(model, guide, *args, **kwargs))

    def forget(self) -> None:
        """Empty the memory, as before the training of another model."""
        if self.memory is not None:
            self.memory.pairs.clear()

    def _correlations(self, model_trace: Trace, finite: bool) -> tuple[list[float], list[Tensor]]:
        """Lambda_s = lambda w_s and rho_s of every site that has a pair."""
        self.terms, self.left_out = {}, {}
        factor = self.weight * (self.schedule(self.progress) if self.schedule else 1.0)
        lam, rho = [], []
        for name, w in self._weights(model_trace).items():
            try:
                rho_s = self._correlation(model_trace, name, finite)
            except NoPairError as reason:
                self._leave_out(name, str(reason))
                continue
            self.terms[f"rho/{name}"] = rho_s.detach()
            lam.append(factor * w)
            rho.append(rho_s)
        if self.weight > 0 and self.sites is None and not self.terms:
            raise ValueError(NO_SITE.format(left_out=self.left_out or "the model observes nothing"))
        return lam, rho

    def _correlation(self, model_trace: Trace, name: str, finite: bool) -> Tensor:
        """Rho of a site: over all processes, and over the memory; the mean over its groups."""
        site = model_trace.nodes[observed_sites(model_trace)[name]]
        u, e, mask = pair_of_site(site, **self.pairing)
        pair = u, e.detach() if self.detach_error else e, mask
        if num_processes() > 1:
            pair = of_all_processes(*pair)
        if finite:  # otherwise the training has diverged, and the loss shall show it
            refuse_infinite(site, *pair)  # of the rows of all processes: all leave it out, or none
        if self.memory is not None and torch.is_grad_enabled():
            pair = self.memory.extended(name, *pair)
        u, e, mask = pair  # (G, n)
        if len(u) == 1:
            return self.statistic(u[0], e[0], mask[0])
        return torch.vmap(self.statistic)(u, e, mask).mean()

    def _leave_out(self, name: str, reason: str) -> None:
        """Note it, and say it the first time; refuse it where the site was asked for by name."""
        if self.sites is not None:
            raise ValueError(f"`sites` names {name!r}, which can not be correlated: {reason}.")
        self.left_out[name] = reason
        if self.weight > 0 and name not in self._said:
            self._said.add(name)
            warnings.warn(
                f"The site {name!r} is left out of the correlation: {reason}. {REMEDY}",
                stacklevel=2,
            )

    def _weights(self, model_trace: Trace) -> dict[str, float]:
        names = observed_sites(model_trace)
        if self.sites is None:
            return dict.fromkeys(names, 1.0)
        unknown = [name for name in self.sites if name not in names]
        if unknown:
            raise ValueError(f"`sites` names {unknown}, but the observed sites are {list(names)}.")
        return (
            dict(self.sites) if isinstance(self.sites, Mapping) else dict.fromkeys(self.sites, 1.0)
        )


def _statistic(statistic: str | Statistic) -> Statistic:
    if callable(statistic):
        return statistic
    if statistic not in STATISTICS:
        raise ValueError(
            f"`statistic` must be one of {list(STATISTICS)}, or a function of (u, e, mask); "
            f"got {statistic!r}."
        )
    return STATISTICS[statistic]


def _check_pairing(**chosen: str) -> None:
    for argument, value in chosen.items():
        if value not in CHOICES[argument]:
            raise ValueError(f"`{argument}` must be one of {CHOICES[argument]}; got {value!r}.")


def _memory(size: int, elbo: Trace_ELBO) -> PairMemory | None:
    if size < 0:
        raise ValueError(f"`memory` must be at least 0 pairs; got {size}.")
    if size and elbo.num_particles > 1 and not elbo.vectorize_particles:
        raise ValueError("`memory` with several particles needs `vectorize_particles=True`.")
    return PairMemory(size) if size else None
