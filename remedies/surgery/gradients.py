"""What is done to the gradients that an optimizer is about to step with."""

from __future__ import annotations

import torch
from torch.optim import Optimizer


@torch.no_grad()
def clip(optimizer: Optimizer, limit: float) -> float:
    """Scale all gradients of an optimizer down together where their norm is above a limit.

    Returns:
        The norm that they had.
    """
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None and parameter.grad.layout == torch.strided
    ]
    if not gradients:
        return 0.0
    norms = torch._foreach_norm(gradients)
    total = torch.stack([norm.float().to(norms[0].device) for norm in norms]).norm()
    factor = (limit / (total + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.to(gradient.device, gradient.dtype))
    return float(total)
