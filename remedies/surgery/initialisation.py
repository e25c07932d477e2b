"""Weights that keep the variance of what passes through them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from probes.tap.optimizers import held_by

SCHEMES = ("kaiming", "xavier", "orthogonal")
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_LAYERS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd)


def initialise(module: nn.Module, scheme: str, generator: torch.Generator) -> list[str]:
    """Give a module's own layers, and those inside it, new weights; biases become zero.

    Norms and embeddings keep theirs.

    Args:
        module: A layer or a whole model.
        scheme: ``kaiming``: normal, variance 2 / fan-in. ``xavier``: normal, variance
            2 / (fan-in + fan-out). ``orthogonal``: with gain 1. Weights from one state of a
            recurrent layer to the next are orthogonal with each scheme.
        generator: Where random numbers are drawn, on the CPU.

    Returns:
        Names of the parameters.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r} (known: {', '.join(SCHEMES)})")
    done = []
    for path, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            if _is_bias(part, name, parameter):
                parameter.data.zero_()
            elif _is_weight(part, parameter):
                parameter.data.copy_(_drawn(part, name, parameter, scheme, generator))
            else:
                continue
            done.append(f"{path}.{name}" if path else name)
    return done


def draw_zeros(optimizer: Optimizer, name: Callable[[Tensor], str | None]) -> list[str]:
    """Draw weight matrices that are all zeros and have a gradient that is all zeros.

    Of each module only the first, uniformly with variance 1 / (3 fan-in), as that of
    `torch.nn.Linear` is drawn.

    Args:
        optimizer: Holds them.
        name: Gives the path of a parameter.

    Returns:
        Names of those that were drawn.
    """
    generator = torch.Generator()
    generator.manual_seed(torch.initial_seed() % 2**63)
    drawn: dict[str, str] = {}
    for parameter in held_by(optimizer):
        path = name(parameter)
        gradient = parameter.grad
        if path is None or gradient is None or parameter.dim() < 2 or min(parameter.shape) < 1:
            continue
        module = path.rpartition(".")[0]
        if module not in drawn and not parameter.any() and not gradient.any():
            values = torch.empty(parameter.shape, dtype=torch.float32)
            nn.init.kaiming_uniform_(values, a=math.sqrt(5), generator=generator)
            parameter.data.copy_(values)
            drawn[module] = path
    return list(drawn.values())


def _is_bias(part: nn.Module, name: str, parameter: Tensor) -> bool:
    layer = isinstance(part, (*_LAYERS, *_RECURRENT)) or _is_own(part)
    return layer and parameter.dim() == 1 and "bias" in name and parameter.is_floating_point()


def _is_weight(part: nn.Module, parameter: Tensor) -> bool:
    if not parameter.is_floating_point() or parameter.dim() < 2 or min(parameter.shape[:2]) < 1:
        return False
    known = (*_LAYERS, *_RECURRENT, nn.MultiheadAttention)
    return isinstance(part, known) or (
        _is_own(part) and parameter.dim() == 2 and min(parameter.shape) > 1
    )


def _is_own(part: nn.Module) -> bool:
    """Whether a module is of a class of the user's."""
    return not type(part).__module__.startswith("torch.")


def _drawn(
    part: nn.Module, name: str, parameter: Tensor, scheme: str, generator: torch.Generator
) -> Tensor:
    values = torch.empty(parameter.shape, dtype=torch.float32)
    if isinstance(part, _RECURRENT) and "_hh" in name:
        width = parameter.shape[1]
        for gate in torch.split(values, width):
            nn.init.orthogonal_(gate, generator=generator)
        return values
    own = _is_own(part) and not isinstance(part, (*_LAYERS, *_RECURRENT))
    if scheme == "orthogonal":
        return nn.init.orthogonal_(values, generator=generator)
    if scheme == "xavier" or own:  # Which dimension of an own weight is which is not known.
        return nn.init.xavier_normal_(values, generator=generator)
    fan_in = values[0].numel()
    if isinstance(part, nn.modules.conv._ConvTransposeNd):
        fan_in = values.numel() // values.shape[1]
    return values.normal_(0.0, math.sqrt(2.0 / fan_in), generator=generator)
