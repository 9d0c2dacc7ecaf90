"""What the methods cost: time against the floor and against peers, and memory against the draws."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sure_pyro.propagation import sampling, taylor

Latents = dict[str, Tensor]
SETTINGS = ((3, 64, 1), (3, 64, 10), (3, 64, 37), (2, 256, 23))  # tokens, width, outputs
ROWS, INCOMPLETE = 256, 26
THREADS = sorted({1, torch.get_num_threads()})  # one, and as many as torch takes by itself


class Fusion(nn.Module):
    """A 2-layer transformer encoder over one token per modality, with a linear head."""

    def __init__(self, width: int, num_outputs: int):
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, num_outputs)

    def forward(self, latents: Latents) -> Tensor:
        """Fuse (B, width) latents into (B, C)."""
        return self.head(self.encoder(torch.stack(list(latents.values()), 1)).mean(1))


def problem(
    tokens: int, width: int, num_outputs: int, device: str, rows: int = ROWS, sd: float = 0.3
) -> tuple[nn.Module, Latents, Latents]:
    torch.manual_seed(0)
    net = Fusion(width, num_outputs).eval().requires_grad_(False).to(device)
    mean = {f"modality {i}": torch.randn(rows, width, device=device) for i in range(tokens)}
    return net, mean, {name: torch.full_like(z, sd**2) for name, z in mean.items()}


def incomplete_and_complete_rows() -> tuple[Tensor, Tensor]:
    """Return the rows that lack something, 10 % of them, and the others."""
    rows = torch.randperm(ROWS, generator=torch.Generator().manual_seed(0))
    return rows[:INCOMPLETE], rows[INCOMPLETE:]


def incomplete(variance: Latents) -> Latents:
    """Return the same variance in 10 % of the rows, zero in the others."""
    rows = incomplete_and_complete_rows()[1]
    return {name: s2.index_fill(0, rows.to(s2.device), 0.0) for name, s2 in variance.items()}


def floor(net: nn.Module, mean: Latents) -> list[tuple[Tensor, ...]]:
    """Run one forward and C backward passes: no exact diagonal Taylor can do with less."""
    leaves = {name: z.detach().requires_grad_() for name, z in mean.items()}
    y = net(leaves)
    return [
        torch.autograd.grad(y[:, c].sum(), list(leaves.values()), retain_graph=True)
        for c in range(y.shape[1])
    ]


def parts_of_incomplete(mean: Latents) -> tuple[Latents, Latents]:
    """Return the latents of the rows that lack something, and of the others."""
    return tuple(
        {name: z[rows.to(z.device)] for name, z in mean.items()}
        for rows in incomplete_and_complete_rows()
    )


def floor_of_incomplete(net: nn.Module, mean: Latents) -> Callable[[], object]:
    """Run one forward of the complete rows, and the floor of the others."""
    partial, complete = parts_of_incomplete(mean)

    def run() -> None:
        with torch.no_grad():
            net(complete)
        floor(net, partial)

    return run


def batched_floor_of_incomplete(net: nn.Module, mean: Latents, C: int) -> Callable[[], object]:
    """Run both forwards, and one backward of C copies of the others: all outputs at once.

    That is what the passes alone would take if batching gradients over outputs cost nothing; the
    forward pass of the copies is not counted.
    """
    partial, complete = parts_of_incomplete(mean)
    leaves = {name: z.repeat(C, 1).requires_grad_() for name, z in partial.items()}
    y, one_hot = net(leaves), torch.eye(C).repeat_interleave(INCOMPLETE, 0)
    one_hot = one_hot.to(y.device)

    def run() -> None:
        with torch.no_grad():
            net(complete)
        net({name: z.detach().requires_grad_() for name, z in partial.items()})
        torch.autograd.grad(y, list(leaves.values()), one_hot, retain_graph=True)

    return run


def vmap_jacrev(net: nn.Module, mean: Latents, variance: Latents) -> Tensor:
    """Delta method as textbook code does it: a vectorised Jacobian of every row."""

    def row(latents: Latents) -> Tensor:
        return net({name: z[None] for name, z in latents.items()})[0]

    J = torch.func.vmap(torch.func.jacrev(row))(mean)
    return torch.stack(
        [(J[name].square() * s2[:, None]).flatten(2).sum(-1) for name, s2 in variance.items()]
    ).sum(0)


def jacobian_by_row(net: nn.Module, mean: Latents, variance: Latents) -> Tensor:
    """Delta method row by row with ``torch.autograd.functional.jacobian``."""
    names = list(mean)

    def of_row(*z: Tensor) -> Tensor:
        return net(dict(zip(names, z, strict=True)))[0]

    rows = []
    for b in range(len(mean[names[0]])):
        J = torch.autograd.functional.jacobian(of_row, tuple(mean[n][b : b + 1] for n in names))
        parts = [
            (J_i[:, 0].square() * variance[n][b]).sum(-1) for n, J_i in zip(names, J, strict=True)
        ]
        rows.append(torch.stack(parts).sum(0))
    return torch.stack(rows)


def paired_times(
    calls: dict[str, Callable[[], object]], device: str, seconds: float = 8.0
) -> dict[str, list[float]]:
    """Time the calls in turn, so that what else the machine does hits all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or len(times[next(iter(calls))]) < 5:
        for name, call in calls.items():
            _synchronize(device)
            before = time.perf_counter()
            call()
            _synchronize(device)
            times[name].append(time.perf_counter() - before)
    return times


def ratio(times: dict[str, list[float]], numerator: str, denominator: str) -> float:
    """Median of the ratios of neighbouring measurements."""
    pairs = zip(times[numerator], times[denominator], strict=True)
    return statistics.median(a / b for a, b in pairs)


def _synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def taylor_cost(device: str) -> list[dict[str, object]]:
    """Must-show 1 to 3: against the floor, against peers, and with 10 % incomplete rows."""
    return [_taylor_cost(*setting, device, n) for n in THREADS for setting in SETTINGS]


def _taylor_cost(tokens: int, width: int, C: int, device: str, threads: int) -> dict[str, object]:
    torch.set_num_threads(threads)
    net, mean, variance = problem(tokens, width, C, device)
    partly = incomplete(variance)

    def peer_without_fused_attention() -> Tensor:
        # Fused attention has no batching rule in torch 2.13 and falls back to a loop under
        # vmap; textbook code meets that, a careful user would switch it off.
        with sdpa_kernel(SDPBackend.MATH):
            return vmap_jacrev(net, mean, variance)

    calls = {
        "floor": lambda: floor(net, mean),
        "taylor": lambda: taylor(net, mean, variance),
        "partly": lambda: taylor(net, mean, partly),
        "partly_floor": floor_of_incomplete(net, mean),
        "partly_batched": batched_floor_of_incomplete(net, mean, C),
    }
    peers = {
        "taylor": calls["taylor"],
        "vmap_jacrev": lambda: vmap_jacrev(net, mean, variance),
        "unfused": peer_without_fused_attention,
    }
    times = paired_times(calls, device)
    peer_times = paired_times(peers, device)
    torch.set_num_threads(1)
    return {
        "threads": threads,
        "tokens": tokens,
        "width": width,
        "C": C,
        "taylor_ms": 1e3 * statistics.median(times["taylor"]),
        "taylor_over_floor": ratio(times, "taylor", "floor"),
        "incomplete_over_complete": ratio(times, "partly", "taylor"),
        "incomplete_floor_over_complete": ratio(times, "partly_floor", "taylor"),
        "incomplete_batched_floor_over_complete": ratio(times, "partly_batched", "taylor"),
        "vmap_jacrev_over_taylor": ratio(peer_times, "vmap_jacrev", "taylor"),
        "the_same_unfused": ratio(peer_times, "unfused", "taylor"),
    }


def by_row_cost(device: str) -> list[dict[str, float]]:
    """Must-show 2: the row-by-row Jacobian at C = 10, and the same numbers from all three."""
    return [_by_row_cost(device, n) for n in THREADS]


def _by_row_cost(device: str, threads: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    net, mean, variance = problem(3, 64, 10, device)
    calls = {
        "taylor": lambda: taylor(net, mean, variance),
        "by_row": lambda: jacobian_by_row(net, mean, variance),
    }
    times = paired_times(calls, device, seconds=20.0)
    torch.set_num_threads(1)
    net = net.double()
    mean, variance = ({k: v.double() for k, v in x.items()} for x in (mean, variance))
    ours = taylor(net, mean, variance).variance
    peers = vmap_jacrev(net, mean, variance), jacobian_by_row(net, mean, variance)
    return {
        "threads": threads,
        "by_row_over_taylor": ratio(times, "by_row", "taylor"),
        "difference_to_vmap_jacrev": float((ours / peers[0] - 1).abs().max()),
        "difference_to_by_row": float((ours / peers[1] - 1).abs().max()),
    }


def memory(device: str) -> dict[str, float]:
    """Must-show 5: memory of 10 000 draws and of one chunk, each in a process of its own."""
    peaks = {}
    for name, draws in (("one_chunk", 1000), ("ten_thousand", 10_000)):
        code = f"from benchmarks.propagation_cost import peak; print(peak({draws}, {device!r}))"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        peaks[name], peaks[f"{name}_process"] = (float(x) for x in out.stdout.split())
    return {
        "one_chunk_mib": peaks["one_chunk"],
        "ten_thousand_mib": peaks["ten_thousand"],
        "ratio_above_start": peaks["ten_thousand"] / peaks["one_chunk"],
        "ratio_of_process": peaks["ten_thousand_process"] / peaks["one_chunk_process"],
    }


def peak(num_samples: int, device: str) -> str:
    """Peak memory of `sampling` in MiB: above what the process had before, and in all."""
    # Chunks of 64 000 rows, so that one of them is well above what loading torch takes.
    net, mean, variance = problem(3, 64, 10, device, rows=64)
    options = {"max_rows": 64_000, "by_source": False}
    sampling(net, mean, variance, num_samples=2, **options)  # libraries load on first use
    before = _peak_mib(device)
    sampling(net, mean, variance, num_samples=num_samples, **options)
    return f"{_peak_mib(device) - before} {_peak_mib(device)}"


def _peak_mib(device: str) -> float:
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    # Not `ru_maxrss`: that of a new process starts at what its parent had.
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 2**10
