"""How right the methods are: draws against draws, the verdict against the truth, and a picture."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.propagation_cost import problem
from sure_pyro.propagation import Moments, cross_check, sampling, taylor

Function = Callable[[Tensor], Tensor]
REFERENCE = 200_000


def rmse(estimates: list[Tensor], truth: Tensor) -> float:
    """Root mean squared error over repetitions, rows and outputs, relative to the truth's."""
    errors = torch.stack([(s2 - truth).square().mean() for s2 in estimates])
    return float((errors.mean() / truth.square().mean()).sqrt())


def steep_tanh(D: int, C: int, device: str) -> Callable[[dict[str, Tensor]], Tensor]:
    W = torch.randn(D, C, generator=torch.Generator().manual_seed(1)).to(device) / D**0.5

    def fn(latents: dict[str, Tensor]) -> Tensor:
        return torch.tanh(4 * torch.cat(list(latents.values()), -1) @ W)

    return fn


def controlled_draws(device: str, repetitions: int = 20) -> list[dict[str, object]]:
    """Must-show 4: 64 Taylor-controlled draws against plain ones."""
    net, mean, _ = problem(3, 64, 10, device, rows=16)
    tanh = steep_tanh(192, 10, device)
    lines = []
    for name, fn, sd in (
        ("fusion, Taylor nearly right", net, 0.25),
        ("fusion, strongly nonlinear", net, 2.0),
        ("steep tanh, strongly nonlinear", tanh, 1.0),
    ):
        variance = {key: torch.full_like(z, sd**2) for key, z in mean.items()}

        def draw(n: int, control: str | None, seed: int, fn=fn, variance=variance) -> Moments:
            return sampling(
                fn, mean, variance, num_samples=n, control=control, seed=seed, by_source=False
            )

        truth = draw(REFERENCE, None, seed=10**6).variance
        first = taylor(fn, mean, variance).variance
        errors = {
            (n, control): rmse([draw(n, control, s).variance for s in range(repetitions)], truth)
            for n, control in ((64, "taylor"), (64, None), (500, None))
        }
        lines.append(
            {
                "function": name,
                "latent_sd": sd,
                "taylor_error": rmse([first], truth),
                "controlled_64": errors[64, "taylor"],
                "plain_64": errors[64, None],
                "plain_500": errors[500, None],
                "worth_plain_draws": 64 * (errors[64, None] / errors[64, "taylor"]) ** 2,
            }
        )
    return lines


def family(name: str, seed: int) -> Function:
    """Make a function at random: the verdict has not seen any of them before."""
    g = torch.Generator().manual_seed(seed)
    D, H, C = 12, 32, 4
    V = torch.randn(D, H, generator=g) / D**0.5
    W = torch.randn(H, C, generator=g) / H**0.5
    A = torch.randn(D, C, generator=g) / D**0.5
    steep = float(1 + 4 * torch.rand(1, generator=g))
    return {
        "tanh": lambda z: torch.tanh(steep * z @ A),
        "softmax": lambda z: (steep * z @ A).softmax(-1),
        "sigmoid": lambda z: (steep * z @ A).sigmoid(),
        "sine": lambda z: torch.sin(steep / 2 * z @ A),
        "quadratic": lambda z: z @ A + steep / 4 * (z @ A).square(),
        "exponential": lambda z: torch.exp(z @ A),
        "relu network": lambda z: torch.relu(z @ V) @ W,
        "gelu network": lambda z: nn.functional.gelu(steep * z @ V) @ W,
        "tanh network": lambda z: torch.tanh(steep * z @ V) @ W,
    }[name]


FAMILIES = (
    "tanh",
    "softmax",
    "sigmoid",
    "sine",
    "quadratic",
    "exponential",
    "relu network",
    "gelu network",
    "tanh network",
)


def verdicts(
    rows: int, control: str | None, num_samples: int = 1000, repetitions: int = 60
) -> list[dict[str, object]]:
    """Must-show 6: how often the cross-check speaks up, where it should and should not.

    Every repetition has a function, means, a latent scale and draws of its own.
    """
    counts: dict[str, dict[str, list[bool]]] = {
        name: {"wrong": [], "right": []} for name in FAMILIES
    }
    for name in FAMILIES:
        for seed in range(repetitions):
            g = torch.Generator().manual_seed(10_000 + seed)
            fn = family(name, seed)
            mean = torch.randn(rows, 12, generator=g) / 2
            sd = float(torch.exp(-3 + 3.4 * torch.rand(1, generator=g)))  # 0.05 to 1.5
            variance = torch.full_like(mean, sd**2)
            first = taylor(fn, mean, variance)
            truth = sampling(
                fn, mean, variance, num_samples=50_000, control="taylor", seed=99 + seed
            )
            drawn = sampling(
                fn, mean, variance, num_samples=num_samples, control=control, seed=seed
            )
            ratio = first.variance.sum(0) / truth.variance.sum(0)
            for c, word in enumerate(cross_check(first, drawn).verdicts["total"]):
                off = abs(float(ratio[c]) - 1)
                if off > 0.25:
                    counts[name]["wrong"].append(word in ("differ", "disagree"))
                elif off <= 0.05:
                    counts[name]["right"].append(word in ("differ", "disagree"))
    everything = {
        kind: [said for name in FAMILIES for said in counts[name][kind]]
        for kind in ("wrong", "right")
    }
    return [
        {
            "function": name,
            "rows": rows,
            "draws": f"{num_samples} {control or 'plain'}",
            "wrong_cases": len(kinds["wrong"]),
            "detected": _rate(kinds["wrong"]),
            "right_cases": len(kinds["right"]),
            "false_alarms": _rate(kinds["right"]),
        }
        for name, kinds in [*counts.items(), ("all", everything)]
    ]


def _rate(said: list[bool]) -> float | None:
    return statistics.fmean(said) if said else None
