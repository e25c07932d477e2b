"""Searches the differences to a known-good configuration for those that make a run fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from agent.delta import Names, Test, Unknown, looked_up, minimal, questions
from agent.errors import WorkloadError
from agent.heard import Heard
from agent.known_good import suspicion
from agent.settings_found import Explanation, SettingsFound
from agent.trials import Trials
from agent.workload import Outcome
from agent.yardstick import Yardstick
from remedies.arguments import Difference

T = TypeVar("T")
_SPECULATION = 0.5
"""Share of the budget up to which idle slots run what may be asked next."""


class SettingSearch:
    """Finds the fix and the cause by delta debugging, each test a trial on the search seed.

    Args:
        trials: Runs them.
        differences: The settings that differ, those that look guilty first.
        seed: Trial seed of the search.
        budget: What may have been spent in all when the search ends, in baseline runs.
    """

    def __init__(
        self, trials: Trials, differences: Sequence[Difference], seed: int, budget: float
    ) -> None:
        self._trials = trials
        self._seed = seed
        self._budget = budget
        self._names = tuple(difference.name for difference in differences)
        self._weights = {d.name: suspicion(d) for d in differences}
        self._known: dict[Names, bool] = {frozenset(): False}
        self.found = SettingsFound(tuple(differences))

    def run(self) -> SettingsFound:
        """Search.

        Raises:
            WorkloadError: The good configuration fails by itself.
        """
        found, everything = self.found, frozenset(self._names)
        self._start(everything)
        found.good = self._read(self._trials.next(), everything)
        yardstick = found.yardstick
        assert yardstick is not None
        if not yardstick.leads_up:
            name, values = yardstick.objective.name, f"{yardstick.good:.4g}, {yardstick.bad:.4g}"
            found.complaint = (
                f"the good configuration is not better than the bad one ({name} {values}): "
                "its settings explain nothing"
            )
            return found
        self._known[everything] = True
        self._answer(self._explain)
        fix = self._as_far_as_known(self._fix) or ()
        cause = (self._as_far_as_known(partial(self._cause, fix)) if fix else None) or ()
        cures = self._as_far_as_known(partial(self._cures, cause)) if cause else None
        found.explanation = Explanation(fix, cause, cures)
        return found

    def _explain(self, test: Test) -> None:
        fix = self._fix(test)
        self._cures(self._cause(fix, test), test)

    def _fix(self, test: Test) -> tuple[str, ...]:
        return minimal(self._names, test, self._weights)

    def _cause(self, fix: tuple[str, ...], test: Test) -> tuple[str, ...]:
        """The settings of the fix, and what else the failure needs besides them."""
        everything = frozenset(self._names)

        def fails(left_bad: Names) -> bool:
            return not test(everything - left_bad)

        if fails(frozenset(fix)):
            return fix
        others = tuple(name for name in self._names if name not in fix)
        return fix + minimal(others, lambda more: fails(more | frozenset(fix)), self._weights)

    def _cures(self, cause: tuple[str, ...], test: Test) -> tuple[str, ...]:
        return tuple(name for name in cause if test(frozenset([name])))

    def _as_far_as_known(self, search: Callable[[Test], T]) -> T | None:
        try:
            return search(looked_up(self._known))
        except Unknown:
            return None

    def _answer(self, search: Callable[[Test], object]) -> None:
        """Run the tests that a search needs, as many at a time as there are slots."""
        running: dict[int, Names] = {}
        while True:
            wanted = questions(search, self._known, self._trials.slots)
            for place, names in enumerate(wanted):
                if names in running.values() or len(running) >= self._trials.slots:
                    continue
                limit = self._budget * (_SPECULATION if place else 1.0)
                if self._trials.spent + len(running) + 1 <= limit:
                    running[self._start(names)] = names
            if not wanted:
                for number in running:
                    self._trials.cancel(number)
            if not running:
                return
            outcome = self._trials.next()
            self._read(outcome, running.pop(outcome.spec.number))

    def _start(self, names: Names) -> int:
        return self._trials.start(self.found.reverting(names), self._seed, "search")

    def _read(self, outcome: Outcome, names: Names) -> Outcome:
        """Take in a test that has ended."""
        found, objective = self.found, self._trials.objective
        assert objective is not None
        if outcome.status == "cancelled":
            self._trials.conclude(outcome, "not needed any more")
            return outcome
        if found.yardstick is None:
            self._check(outcome)
            control = self._trials.controls[self._seed]
            found.yardstick = Yardstick.between(objective, control, outcome)
        self._known[names] = found.yardstick.recovered(outcome)
        found.heard.append(Heard(outcome.spec.treatment, self._trials.assess(outcome)))
        verdict = "recovers" if self._known[names] else "does not recover"
        self._trials.conclude(outcome, verdict)
        return outcome

    def _check(self, outcome: Outcome) -> None:
        """Make sure that the good configuration can be learned from.

        Raises:
            WorkloadError: It fails by itself.
        """
        ending = outcome.ending
        if ending is None or not ending.planned:
            self._trials.conclude(outcome, "fails")
            message = f": {ending.message}" if ending and ending.message else ""
            raise WorkloadError(
                f"the good configuration fails by itself ({outcome.status} after "
                f"{outcome.steps} steps{message}): give one that runs to its end"
            )
