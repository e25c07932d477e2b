"""The search over settings, on an episode that makes up its runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from agent.assessment import assess
from agent.diagnosis import Tried
from agent.errors import WorkloadError
from agent.request import Request
from agent.setting_answer import advice, known_good, sentence, tried
from agent.settings import SettingSearch
from agent.settings_found import SettingsFound, names_of
from agent.workload import Outcome, TrialSpec
from agent.yardstick import Yardstick
from probes.objective import Objective
from probes.trace import Trace
from remedies.arguments import Difference
from remedies.treatment import CONTROL, Treatment

ACCURACY = Objective(name="val_acc", mode="max")
LOSS = Objective(name="val_loss", mode="min")
Rule = Callable[[frozenset[str]], float | None]


def run(values: Sequence[float], name: str = "val_acc", status: str = "completed") -> Trace:
    events: list[dict[str, Any]] = [
        {"event": "metric", "name": name, "step": step, "value": value}
        for step, value in enumerate(values)
    ]
    message = "no such option" if status != "completed" else ""
    ending = {"event": "ending", "status": status, "steps": 100, "message": message}
    return Trace.of([*events, ending])


class MadeUpEpisode:
    """Runs end in the order in which they were started; what they give is a rule.

    Args:
        rule: The metric of a run by the settings that are reverted in it; None: it breaks.
        slots: Runs at a time.
    """

    def __init__(self, rule: Rule, slots: int = 1) -> None:
        self.rule = rule
        self.slots = slots
        self.objective = ACCURACY
        self.spent = 1.0
        self.asked: list[frozenset[str]] = []
        self.widest = 0
        self._running: deque[tuple[int, Treatment, bool]] = deque()
        self.controls = {0: self._outcome(0, CONTROL)}

    def start(self, treatment: Treatment, seed: int, part: str) -> int:
        assert (seed, part) == (0, "search")
        self.asked.append(names_of(treatment))
        self._running.append((len(self.asked), treatment, False))
        self.widest = max(self.widest, len(self._running))
        return len(self.asked)

    def cancel(self, number: int) -> None:
        self._running = deque((n, t, stop or n == number) for n, t, stop in self._running)

    def next(self) -> Outcome:
        number, treatment, stopped = self._running.popleft()
        self.spent += 1.0
        return self._outcome(number, treatment, stopped)

    def assess(self, outcome: Outcome) -> Any:
        return assess(outcome, self.controls[0], (), (), self.objective)

    def conclude(self, outcome: Outcome, verdict: str) -> None:
        pass

    def _outcome(self, number: int, treatment: Treatment, stopped: bool = False) -> Outcome:
        value = self.rule(names_of(treatment))
        status = "cancelled" if stopped else "exited" if value is None else "completed"
        values = [] if value is None else [0.1 + 0.5 * (value - 0.1), value]
        return Outcome(TrialSpec(number, treatment), run(values, status=status))


EIGHT = [Difference(f"--{name}", f"--{name} 1", f"--{name} 0") for name in "abcdefgh"]


def search(rule: Rule, slots: int = 1, budget: float = 18) -> tuple[SettingsFound, MadeUpEpisode]:
    episode = MadeUpEpisode(rule, slots)
    return SettingSearch(episode, EIGHT, 0, budget).run(), episode  # type: ignore[arg-type]


def together(reverted: frozenset[str]) -> float:
    """Fails where --b and --g are both bad."""
    return 0.9 if {"--b", "--g"} & reverted else 0.1


def independent(reverted: frozenset[str]) -> float:
    """Fails where --b or --g is bad."""
    return 0.9 if {"--b", "--g"} <= reverted else 0.1


def alone(reverted: frozenset[str]) -> float:
    return 0.9 if "--c" in reverted else 0.1


@pytest.mark.parametrize("slots", [1, 2, 8])
class TestExplanations:
    def test_two_that_fail_together(self, slots: int) -> None:
        found, episode = search(together, slots)
        assert found.explanation.fix in (("--b",), ("--g",))
        assert set(found.explanation.cause) == {"--b", "--g"}
        assert sentence(found) in (
            "the failure needs --b 1 and --g 1 together; reverting either one recovers",
            "the failure needs --g 1 and --b 1 together; reverting either one recovers",
        )
        # With the untreated run, and six to confirm: 24 is the default budget.
        assert 1 + len(episode.asked) + 6 <= 24

    def test_two_faults(self, slots: int) -> None:
        found, episode = search(independent, slots)
        assert found.explanation.fix == found.explanation.cause == ("--b", "--g")
        assert "all of them have to be reverted" in sentence(found)
        assert 1 + len(episode.asked) + 6 <= 24

    def test_one_fault(self, slots: int) -> None:
        found, _ = search(alone, slots)
        assert found.explanation.fix == found.explanation.cause == ("--c",)
        assert sentence(found) == "--c 1 makes it fail without the other 7 differences"

    def test_nothing_is_run_twice_and_never_more_than_fits(self, slots: int) -> None:
        _, episode = search(together, slots)
        assert len(set(episode.asked)) == len(episode.asked)
        assert frozenset() not in episode.asked
        assert (episode.widest > 1) == (slots > 1)
        assert episode.widest <= slots


def test_the_counts_of_the_three_cases() -> None:
    counts = [len(search(rule)[1].asked) for rule in (together, independent, alone)]
    assert counts == [12, 11, 6]


def test_runs_that_break_do_not_recover() -> None:
    def rule(reverted: frozenset[str]) -> float | None:
        """The script refuses --a without --b."""
        return None if ("--a" in reverted) != ("--b" in reverted) else together(reverted)

    found, _ = search(rule)
    assert found.explanation.fix in (("--g",), ("--a", "--b"))
    assert rule(frozenset(found.explanation.fix)) == 0.9


def test_when_the_budget_ends_it_says_what_is_known_and_what_is_not() -> None:
    nothing, episode = search(independent, budget=4)
    assert nothing.explanation.fix == () and episode.spent <= 4
    assert "a larger --budget" in sentence(nothing)
    some, episode = search(together, budget=6)
    assert some.explanation.fix and not some.explanation.cause and episode.spent <= 6
    assert "the budget did not suffice to find out whether" in sentence(some)


def test_a_good_configuration_that_is_no_better_is_said_to_be_so() -> None:
    found, episode = search(lambda reverted: 0.1)
    assert len(episode.asked) == 1 and not found.fix
    assert sentence(found).startswith("the good configuration is not better than the bad one")


def test_a_good_configuration_that_breaks_is_an_error() -> None:
    with pytest.raises(WorkloadError, match=r"good configuration fails by itself \(exited .* no"):
        search(lambda reverted: None if len(reverted) == 8 else 0.1)


def test_what_was_tried_says_why() -> None:
    found, _ = search(independent)
    entries: list[Tried] = list(tried(found, (), None))
    assert entries[0].status == "refuted"
    assert entries[0].reason == (
        "the good configuration: recovers; more than is needed: --b and --g will do"
    )
    failing = [entry for entry in entries if entry.reason.startswith("does not recover: 0 %")]
    assert failing and all(entry.metric == {0: 0.1} for entry in failing)
    # The fix itself is left to the confirmation, of which there is none here.
    assert [e.status for e in entries if len(e.treatment) == 2 and e.metric[0] > 0.5] == ["pruned"]


@pytest.fixture
def request_of_eight() -> Request:
    arguments = tuple(word for difference in EIGHT for word in difference.bad.split())
    workload = {"script": "/work/src/train.py", "directory": "/work", "args": arguments}
    return Request.model_validate({"workload": workload, "good": ("--h", "0")})


def test_the_diagnosis_tells_all_of_it(request_of_eight: Request) -> None:
    found, episode = search(together)
    told = known_good(found, request_of_eight)
    assert (told.metric_bad, told.metric_good, told.trials) == (0.1, 0.9, len(episode.asked))
    assert told.args == ("--h", "0") and len(told.differences) == 8
    assert set(told.cures or ()) == set(told.cause) == {"--b", "--g"}


def test_the_command_line_to_use_is_written_out(request_of_eight: Request) -> None:
    found, _ = search(alone)
    (line,) = advice(found.fix, request_of_eight)
    assert line == (
        "The command line to use: python src/train.py "
        "--a 1 --b 1 --c 0 --d 1 --e 1 --f 1 --g 1 --h 1"
    )
    assert advice(CONTROL, request_of_eight) == []


class TestYardstick:
    def between(
        self, bad: Sequence[float], good: Sequence[float], objective: Objective = LOSS
    ) -> Yardstick:
        runs = [Outcome(TrialSpec(0), run(values, objective.name)) for values in (bad, good)]
        return Yardstick.between(objective, *runs)

    def share(self, way: Yardstick, *values: float) -> float:
        return way.share(Outcome(TrialSpec(1), run(values, way.objective.name)))

    def test_half_way_counts_in_both_directions(self) -> None:
        for objective, bad, good in ((LOSS, 2.0, 1.0), (ACCURACY, 0.2, 0.8)):
            way = self.between([bad] * 4, [good] * 4, objective)
            middle = (bad + good) / 2
            assert self.share(way, middle) == pytest.approx(0.5)
            assert way.leads_up

    def test_a_loss_that_exploded_does_not_make_everything_look_recovered(self) -> None:
        way = self.between([2.0, 1e3, 1e6], [2.0, 0.5, 0.1])
        assert self.share(way, 2.0) == 0.0 and self.share(way, 1e4) < 0
        assert self.share(way, 0.1) == 1.0

    def test_a_diverged_run_has_gone_no_way_and_is_no_measure(self) -> None:
        way = self.between([2.0, float("nan")], [2.0, 0.5, 0.1])
        assert (way.bad, way.leads_up) == (2.0, True)
        assert self.share(way, float("nan")) == 0.0
        assert self.share(way, 1.0) > 0.5

    def test_a_difference_within_the_jitter_of_the_metric_leads_nowhere(self) -> None:
        noisy = [0.5, 0.6, 0.5, 0.6, 0.5, 0.6]
        assert not self.between(noisy, [value + 0.1 for value in noisy], ACCURACY).leads_up
        assert self.between(noisy, [value + 0.3 for value in noisy], ACCURACY).leads_up
        assert not self.between([0.5] * 4, [0.502] * 4, ACCURACY).leads_up

    def test_a_worse_configuration_leads_nowhere(self) -> None:
        assert not self.between([0.1] * 4, [0.5] * 4).leads_up
        assert not self.between([0.5] * 4, [float("nan")] * 4).leads_up
