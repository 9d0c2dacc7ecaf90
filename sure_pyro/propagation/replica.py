"""A module of one's own over the tensors of another: parameters are put into it unseen."""

from __future__ import annotations

import copy

from torch import nn

_CONTAINERS = (nn.Module, dict, list, tuple, set)


def replica(module: nn.Module) -> nn.Module:
    """Copy the structure of a module and share its tensors.

    `torch.func.functional_call` puts parameters into a module for the time of a call; another
    thread that calls the module just then would see them. In a replica nobody does.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    nn.Module
        Of the same class, with parts of its own; parameters, buffers and whatever else a part holds
        directly are the same objects.
    """
    shared = [*module.parameters(), *module.buffers()]
    for part in module.modules():
        shared += [value for value in vars(part).values() if not isinstance(value, _CONTAINERS)]
    return copy.deepcopy(module, {id(value): value for value in shared})
