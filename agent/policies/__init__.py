"""Policies: who chooses what to try next in a debugging session.

None of them imports the engine: a policy is chosen before anything heavy is loaded.
"""

from agent.policies.base import Policy
from probes.registry import Registry

__all__ = ["Policy", "policies"]

policies: Registry[Policy] = Registry(
    Policy,  # type: ignore[type-abstract]
    package="agent.policies",
    group="agent.policies",
)
"""All policies, by their names."""
