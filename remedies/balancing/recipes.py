"""What a person writes to have a strategy in the script."""

from __future__ import annotations

_TORCHJD = (
    "Weigh the terms of {target} by TorchJD in every step: "
    "``weights = {weighting}()(gram)`` with the Gram matrix of their gradients on the shared "
    "parameters, then ``torch.autograd.backward(losses, list(weights))``."
)

RECIPES = {
    "equal-gradients": (
        "Divide each term of the loss that has {target} in it by a moving average (0.9) of the "
        "norm of its gradient on the shared parameters: ``g = torch.autograd.grad(term, shared, "
        "retain_graph=True)``, ``norm = torch.cat([p.flatten() for p in g]).norm()``."
    ),
    "elements": (
        "Multiply each term of the loss that has {target} in it by the root of the number of "
        "elements that its mean is over, relative to the smallest."
    ),
    "uncertainty": (
        "In the place of the weights of the loss that has {target} in it, learn a log variance for "
        "each term: ``s = nn.Parameter(torch.zeros(n))`` in the optimizer, ``loss = sum(0.5 * "
        "torch.exp(-s[i]) * term + 0.5 * s[i] for i, term in enumerate(terms))``."
    ),
    "aligned-mtl": _TORCHJD.replace("{weighting}", "AlignedMTLWeighting"),
    "imtl-g": _TORCHJD.replace("{weighting}", "IMTLGWeighting"),
    "mgda": _TORCHJD.replace("{weighting}", "MGDAWeighting"),
    "pcgrad": _TORCHJD.replace("{weighting}", "PCGradWeighting"),
    "upgrad": _TORCHJD.replace("{weighting}", "UPGradWeighting"),
}
"""For each strategy but fixed factors."""
