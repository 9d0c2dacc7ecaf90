"""The global batch under data-parallel training: pairs and sums of all processes.

Data-parallel training averages the gradients of its processes. So what every process computes from
the rows of all, the correlation, must weigh its own rows as often as there are processes; and what
it computes from its own rows alone, the ELBO, must be divided by the *mean* number over the
processes. The averaged gradient then is that of one process which sees all rows.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from sure_pyro.objectives.memory import Pair


def num_processes() -> int:
    """Processes of the default group; 1 where nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def of_all_processes(u: Tensor, e: Tensor, mask: Tensor) -> Pair:
    """Pairs ``(G, n)`` of every process side by side, in the order of the processes.

    Processes may have different numbers of pairs, but the same G and dtype. Every process must
    call this, for the same sites in the same order.
    """
    pairs = torch.stack([u, e, mask.to(u)])  # (3, G, n): one message
    sizes = [torch.zeros(2, dtype=torch.long, device=u.device) for _ in range(num_processes())]
    dist.all_gather(sizes, torch.tensor(u.shape, device=u.device))
    groups, lengths = torch.stack(sizes).T.tolist()
    if len(set(groups)) > 1:
        raise ValueError(
            f"The processes correlate different numbers of groups: {groups}. Give every process "
            "rows with the same entries, or use per='row'."
        )
    u, e, counts = _Gathered.apply(pairs, lengths)
    return u, e, counts.detach() > 0.5


def sum_over_processes(*values: float, device: torch.device) -> list[float]:
    """Sum of each number over the processes, without gradients, by way of `device`."""
    sums = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    return sums.tolist()


class _Gathered(torch.autograd.Function):
    """Columns of all processes, ``(..., n)`` to ``(..., sum of the lengths)``.

    Every process goes on to compute the same loss from the same columns, so the gradient of its
    own columns is known to it without asking the others: in the backward pass nothing is sent.
    """

    @staticmethod
    def forward(ctx, x: Tensor, lengths: list[int]) -> Tensor:
        ctx.rank, ctx.lengths = dist.get_rank(), lengths
        # A collective needs one shape: shorter ones are padded, and cut again.
        padded = torch.nn.functional.pad(x, (0, max(lengths) - x.shape[-1])).contiguous()
        columns = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(columns, padded)
        return torch.cat([c[..., :n] for c, n in zip(columns, lengths, strict=True)], -1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        own = gradient.split(ctx.lengths, -1)[ctx.rank]
        return len(ctx.lengths) * own, None  # times the processes: their average is taken
