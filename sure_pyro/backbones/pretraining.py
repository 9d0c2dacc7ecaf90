"""Pretrain a small backbone on complete rows, so that there is something to freeze."""

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import trange

from sure_pyro.backbones.small import SmallBackbone
from sure_pyro.data import Batch
from sure_pyro.data.classes import aligned_with
from sure_pyro.data.task import target_of
from sure_pyro.precision import moving_weights


def pretrain(
    backbone: SmallBackbone,
    train: Batch,
    validation: Batch,
    *,
    epochs: int = 100,
    lr: float = 2e-3,
    weight_decay: float = 1e-2,
    batch_size: int = 128,
    seed: int = 0,
    progress_bar: bool = True,
) -> SmallBackbone:
    """Train on the rows that lack nothing, keep the best validation epoch, and freeze.

    Parameters
    ----------
    backbone : SmallBackbone
    train, validation : Batch
        Incomplete rows are left out.
    epochs, lr, weight_decay, batch_size
        Of AdamW with a learning rate that falls to zero along a cosine.
    seed : int
        The global generator is left as it was.
    progress_bar : bool

    Returns
    -------
    SmallBackbone
        The same, frozen.

    Raises
    ------
    ValueError
        If no training or no validation row is complete, or `validation` does not fit `train`; its
        classes go by their names.
    """
    validation = aligned_with(train, validation)
    train, validation = _complete(train, "train"), _complete(validation, "validation")
    with torch.random.fork_rng(), moving_weights():
        torch.manual_seed(seed)
        optimizer = torch.optim.AdamW(backbone.parameters(), lr=lr, weight_decay=weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        best, kept = float("inf"), backbone.state_dict()
        for _ in trange(epochs, desc="pretraining", disable=not progress_bar):
            backbone.train()
            for rows in torch.randperm(len(train)).split(batch_size):
                optimizer.zero_grad()
                task_loss(backbone, train[rows]).backward()
                optimizer.step()
            schedule.step()
            backbone.eval()
            with torch.no_grad():
                value = task_loss(backbone, validation).item()
            if value < best:
                best, kept = value, {k: v.clone() for k, v in backbone.state_dict().items()}
    backbone.load_state_dict(kept)
    backbone.freeze()
    return backbone


def task_loss(backbone: SmallBackbone, batch: Batch) -> Tensor:
    """Cross-entropy, label-wise cross-entropy, or squared error in units of the target's spread."""
    output = backbone(batch)
    if batch.task == "classification":
        return F.cross_entropy(output, target_of(batch))
    target = target_of(batch).reshape(len(batch), -1).to(output)
    if batch.task == "multilabel":
        return F.binary_cross_entropy_with_logits(output, target)
    return F.mse_loss(output / backbone.target_scale, target / backbone.target_scale)


def _complete(batch: Batch, argument: str) -> Batch:
    complete = batch.complete()
    if len(complete) == 0:
        raise ValueError(
            f"No row of `{argument}` has all modalities, so nothing can be pretrained on it. "
            "Bring a pretrained model: `sp.Backbone.wrap(net, ...)`."
        )
    return complete
