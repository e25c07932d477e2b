"""Remedies: what can be changed in a living training program, and how."""

from probes.registry import Registry
from remedies.application import apply
from remedies.base import Remedy
from remedies.errors import NotApplicable
from remedies.treatment import CONTROL, Action, Treatment, describe

__all__ = [
    "CONTROL",
    "Action",
    "NotApplicable",
    "Remedy",
    "Treatment",
    "apply",
    "describe",
    "remedies",
]

remedies: Registry[Remedy] = Registry(
    Remedy,  # type: ignore[type-abstract]
    package="remedies",
    group="agent.remedies",
)
"""All remedies, in the order of their codes."""
