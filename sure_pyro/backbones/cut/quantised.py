"""Dynamically quantised layers, computed in float.

Such a layer rounds its inputs by their range over the whole batch: a row then changes with the rows
beside it, and nothing can be differentiated. Its weights are exact numbers, though, so the float
layer with these weights is the same layer without that rounding.
"""

import warnings

import torch
from torch import nn

DYNAMIC = "torch.ao.nn.quantized.dynamic"


@torch.no_grad()
def dequantised(net: nn.Module) -> nn.Module:
    """Exchange the dynamically quantised linear layers of a (copied) network by float ones.

    Parameters
    ----------
    net : nn.Module
        Changed, and returned.

    Raises
    ------
    ValueError
        If it has other dynamically quantised layers.
    """
    found = [(p, m) for p, m in net.named_modules() if type(m).__module__.startswith(DYNAMIC)]
    own = {path for path, _ in found}
    found = [(p, m) for p, m in found if not any(p.startswith(f"{o}.") for o in own if o != p)]
    if not found:
        return net
    for path, module in found:
        if type(module).__name__ != "Linear":
            raise ValueError(
                f"The submodule {path!r} is a dynamically quantised {type(module).__name__}: it "
                "rounds by the range of the whole batch, so rows are not independent. Wrap the "
                "network before it is quantised."
            )
        parent, _, name = path.rpartition(".")
        setattr(net.get_submodule(parent), name, _float(module))
    warnings.warn(
        f"{len(found)} dynamically quantised layers are computed in float, with the weights that "
        "they have: their inputs are not rounded, so that rows stay independent and gradients "
        "exist. What the network says differs by that rounding.",
        stacklevel=4,
    )
    return net


def _float(module) -> nn.Linear:
    weight, bias = module.weight().dequantize(), module.bias()
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    linear.weight.copy_(weight)
    if bias is not None:
        linear.bias.copy_(bias)
    return linear.eval().requires_grad_(False)
