"""Probes: what they record of a living training program, and how they read it into symptoms."""

from probes.base import Probe
from probes.objective import Objective
from probes.registry import Registry
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

__all__ = ["ALARM", "Objective", "Probe", "Symptom", "Trace", "probes"]

probes: Registry[Probe] = Registry(
    Probe,  # type: ignore[type-abstract]
    package="probes",
    group="agent.probes",
)
"""All probes, in the order of their codes."""
