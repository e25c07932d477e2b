"""Puts a patch to the test: the patched script runs untreated on the seeds of the confirmation.

A treatment acts on the living program, a patch on its source: that the second does what the first
did is a claim of ours, so it is checked like any other. Only a patch that passes is offered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from agent.apply_patch import digest_of, patched_files
from agent.diagnosis import PatchCheck
from agent.errors import UsageError
from agent.launch import Launcher
from agent.snapshot import Snapshot
from agent.statistics import PairedComparison, compare
from agent.text import number
from agent.workload import Outcome, TrialSpec

AS_GOOD = 0.9
"""Share of the treatment's effect that the patch must have, where the noise allows for less."""

Launch = Callable[[Snapshot], AbstractContextManager[Launcher]]


@dataclass(frozen=True)
class PatchVerifier:
    """Runs patched scripts.

    The trials carry no treatment and must not be taken for controls.

    Attributes:
        snapshot: The user's files as they were diagnosed.
        launch: Makes a launcher for other files; the cores of the diagnosis must be free by then.
        first_number: Number of the first trial: one that no other trial of the diagnosis has.
        max_steps: Steps after which trials of the diagnosis are stopped, if they are.
        recall: Gives the outcome of the same trial of the same files, where it has run before.
        record: Is given each outcome, with the files that were run.
    """

    snapshot: Snapshot
    launch: Launch
    first_number: int = 0
    max_steps: int | None = None
    recall: Callable[[Snapshot, TrialSpec], Outcome | None] = lambda snapshot, spec: None
    record: Callable[[Snapshot, Outcome], None] = lambda snapshot, outcome: None

    def verify(self, patch: str, comparison: PairedComparison, folder: str = ".") -> PatchCheck:
        """Run the patched script and hold it against the treatment.

        Args:
            patch: Unified diff.
            comparison: The treatment's confirmation; its seeds are those that are run.
            folder: The folder that the patch belongs to, from the working directory.

        Raises:
            InfrastructureError: Trials cannot be run.
        """
        try:
            files = patched_files(patch, lambda name: self.snapshot.read(f"{folder}/{name}"))
        except UsageError as error:
            return PatchCheck(passed=False, reason=f"it does not apply: {error}")
        digests = {name: digest_of(self.snapshot.read(f"{folder}/{name}")) for name in files}
        changed = {f"{folder}/{name}": content for name, content in files.items()}
        outcomes = self._run(self.snapshot.changed(changed), sorted(comparison.treated))
        passed, reason = judge(outcomes, comparison)
        values = {o.spec.seed: o.value(comparison.objective) for o in outcomes}
        return PatchCheck(passed=passed, reason=reason, metric=values, files=digests)

    def _run(self, snapshot: Snapshot, seeds: list[int]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}

        def take(outcome: Outcome) -> None:
            outcomes[outcome.spec.seed] = outcome
            self.record(snapshot, outcome)

        with self.launch(snapshot) as launcher:
            for place, seed in enumerate(seeds):
                spec = TrialSpec(self.first_number + place, seed=seed, max_steps=self.max_steps)
                known = self.recall(snapshot, spec)
                if known is None:
                    launcher.submit(spec)
                else:
                    take(known)
            while launcher.pending:
                for _, report in launcher.poll():
                    if isinstance(report, Outcome):
                        take(report)
        return [outcomes[seed] for seed in seeds]


def judge(outcomes: list[Outcome], comparison: PairedComparison) -> tuple[bool, str]:
    """Whether patched runs recover the metric as the treatment did, and why, in one sentence.

    They may fall behind by a tenth of the treatment's effect, or by what seed noise alone may be.

    Args:
        outcomes: The patched script on the seeds of the comparison.
        comparison: The treatment's confirmation.
    """
    objective = comparison.objective
    for outcome in outcomes:
        value, seed = outcome.value(objective), outcome.spec.seed
        if not (outcome.ending and outcome.ending.planned):
            return False, f"on seed {seed} the patched script ended {outcome.status}"
        if value == objective.worst or not math.isfinite(value):
            return False, f"on seed {seed} the patched script ends without {objective.name}"
    values = {outcome.spec.seed: outcome.value(objective) for outcome in outcomes}
    control = {seed: comparison.control[seed] for seed in values}
    patched = compare(objective, control, values)
    allowed = max(comparison.bar, (1 - AS_GOOD) * abs(comparison.effect))
    shown = ", ".join(number(value) for value in values.values())
    told = f"{objective.name} {shown} at seeds {', '.join(map(str, values))}"
    gain = f"{patched.effect:+.3g}, the treatment {comparison.effect:+.3g}"
    if not patched.every_pair_improves:
        return False, f"the patched script is not better on every seed: {told}"
    if comparison.effect - patched.effect > allowed:
        return False, f"the patched script falls behind the treatment: {told} ({gain})"
    return True, f"it recovers as the treatment does: {told} ({gain})"
