"""Puts a patch to the test: the patched script runs untreated on the seeds of the confirmation.

A treatment acts on the living program, a patch on its source: that the second does what the first
did is a claim of ours, so it is checked like any other. Only a patch that passes is offered.
Where the first run trains bit for bit as the treated one of its seed did, the patch is the
treatment, whose other seeds have run; only where it does not, its other seeds are run, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from agent.apply_patch import digest_of, patched_files
from agent.assessment import same_training
from agent.confirm import Confirmation
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

    def verify(self, patch: str, confirmed: Confirmation, folder: str = ".") -> PatchCheck:
        """Run the patched script and hold it against the treatment.

        Args:
            patch: Unified diff.
            confirmed: The treatment's confirmation; its seeds are those that are run.
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
        treated = {a.treated.spec.seed: a.treated for a in confirmed.assessments}
        outcomes = self._run(self.snapshot.changed(changed), treated)
        passed, reason = judge(outcomes, confirmed.comparison)
        values = {o.spec.seed: o.value(confirmed.comparison.objective) for o in outcomes}
        return PatchCheck(passed=passed, reason=reason, metric=values, files=digests)

    def _run(self, snapshot: Snapshot, treated: Mapping[int, Outcome]) -> list[Outcome]:
        """The patched runs: of the first seed alone where it is the treated one, or breaks."""
        first, *others = sorted(treated)
        with self.launch(snapshot) as launcher:
            outcomes = self._run_on({first: self.first_number}, snapshot, launcher)
            if outcomes[0].planned and not same_training(outcomes[0].trace, treated[first].trace):
                numbers = {seed: self.first_number + 1 + n for n, seed in enumerate(others)}
                outcomes += self._run_on(numbers, snapshot, launcher)
        return outcomes

    def _run_on(
        self, numbers: Mapping[int, int], snapshot: Snapshot, launcher: Launcher
    ) -> list[Outcome]:
        """Run the patched script on some seeds, each with the number of its trial."""
        outcomes: dict[int, Outcome] = {}

        def take(outcome: Outcome) -> None:
            outcomes[outcome.spec.seed] = outcome
            self.record(snapshot, outcome)

        for seed, trial in numbers.items():
            spec = TrialSpec(trial, seed=seed, max_steps=self.max_steps)
            known = self.recall(snapshot, spec)
            if known is None:
                launcher.submit(spec)
            else:
                take(known)
        while launcher.pending:
            for _, report in launcher.poll():
                if isinstance(report, Outcome):
                    take(report)
        return [outcomes[seed] for seed in numbers]


def judge(outcomes: Sequence[Outcome], comparison: PairedComparison) -> tuple[bool, str]:
    """Whether patched runs recover the metric as the treatment did, and why, in one sentence.

    They may fall behind by a tenth of the treatment's effect, or by what seed noise alone may be.

    Args:
        outcomes: The patched script on seeds of the comparison; on the first alone where it trains
            there as the treated script did.
        comparison: The treatment's confirmation.
    """
    objective = comparison.objective
    for outcome in outcomes:
        value, seed = outcome.value(objective), outcome.spec.seed
        if not outcome.planned:
            return False, f"on seed {seed} the patched script ended {outcome.status}"
        if value == objective.worst or not math.isfinite(value):
            return False, f"on seed {seed} the patched script ends without {objective.name}"
    values = {outcome.spec.seed: outcome.value(objective) for outcome in outcomes}
    shown = ", ".join(number(value) for value in values.values())
    seeds = f"seed{'s' if len(values) > 1 else ''} {', '.join(map(str, values))}"
    told = f"{objective.name} {shown} at {seeds}"
    if len(outcomes) < len(comparison.treated):
        return True, f"it trains bit for bit as the treated script does: {told}"
    patched = compare(objective, comparison.control, values)
    allowed = max(comparison.bar, (1 - AS_GOOD) * abs(comparison.effect))
    gain = f"{patched.effect:+.3g}, the treatment {comparison.effect:+.3g}"
    if not patched.every_pair_improves:
        return False, f"the patched script is not better on every seed: {told}"
    if comparison.effect - patched.effect > allowed:
        return False, f"the patched script falls behind the treatment: {told} ({gain})"
    return True, f"it recovers as the treatment does: {told} ({gain})"
