"""What a diagnosis knows so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.confirm import Confirmation
from agent.diagnosis import Pasted, PatchCheck
from agent.heard import Heard
from agent.prefix import Prefix
from agent.settings_found import SettingsFound
from agent.workload import Outcome
from probes.objective import Objective
from probes.symptom import Symptom

if TYPE_CHECKING:
    from agent.patch import Patch


@dataclass
class Findings:
    """What a diagnosis knows so far; a verdict can be drawn from it at any time.

    Attributes:
        baseline: The untreated run.
        prefix: The part of the run that the trials make, where it is not the whole.
        objective: The metric.
        symptoms: What was found in the untreated run.
        heard: Treatments that were tried on the search seed.
        settings: What the search over the differences to a known-good configuration found.
        confirmations: Treatments that were put to the confirmation.
        fix: The confirmed one among them.
        patch: The fix as a diff against the source, where it can be written and does the same.
        patch_check: How the patched script did.
        helpers: What a person can paste where there is no patch.
    """

    baseline: Outcome | None = None
    prefix: Prefix | None = None
    objective: Objective | None = None
    symptoms: tuple[Symptom, ...] = ()
    heard: Sequence[Heard] = ()
    settings: SettingsFound | None = None
    confirmations: Sequence[Confirmation] = ()
    fix: Confirmation | None = None
    patch: Patch | None = None
    patch_check: PatchCheck | None = None
    helpers: tuple[Pasted, ...] = ()
