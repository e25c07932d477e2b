"""Which FINISHED runs are sick, by what they logged."""

from __future__ import annotations

import math

import pytest

from agent.triage.judge import Judge
from agent.triage.runs import Run

Curves = dict[str, list[float]]


def judge_all(*runs: Curves) -> list[str]:
    """The kinds of what is wrong with runs that ended one after the other; empty: nothing."""
    curves = {str(number): run for number, run in enumerate(runs)}
    judge = Judge(lambda run_id, name: list(enumerate(curves[run_id][name])))
    kinds = []
    for run_id, run in curves.items():
        last = {name: values[-1] for name, values in run.items()}
        case = judge.judge(Run(run_id, run_id, "0", "FINISHED", 0.0, metrics=last))
        kinds.append(case.kind if case else "")
    return kinds


def learning(to: float, start: float = 0.1) -> list[float]:
    return [start + (to - start) * (1 - 2.0**-step) for step in range(8)]


GOOD = [{"val_acc": learning(0.9 + 0.004 * seed)} for seed in range(6)]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.797e308])
def test_numbers_that_are_none(value: float) -> None:
    assert judge_all({"loss": [1.0, 0.5], "grad_norm": [1.0, value]}) == ["not-finite"]


def test_a_run_far_below_the_earlier_ones() -> None:
    assert judge_all(*GOOD, {"val_acc": learning(0.3)}) == [""] * 6 + ["behind"]
    low = [{"loss": learning(0.1, start=2.0)} for _ in range(6)]
    assert judge_all(*low, {"loss": learning(1.9, start=2.0)})[-1] == "behind"


def test_a_run_that_is_only_a_little_worse_or_better_is_well() -> None:
    assert judge_all(*GOOD, {"val_acc": learning(0.85)})[-1] == ""
    assert judge_all(*GOOD, {"val_acc": learning(0.99)})[-1] == ""


def test_a_wide_sweep_makes_no_alarm() -> None:
    sweep = [{"val_acc": learning(0.1 * to)} for to in (9, 2, 6, 4, 8, 3, 7, 2)]
    assert judge_all(*sweep) == [""] * 8


def test_the_unit_of_the_metric_is_of_no_importance() -> None:
    percent = [{"val_acc": [100 * value for value in run["val_acc"]]} for run in GOOD]
    bad = {"val_acc": [100 * value for value in learning(0.3)]}
    assert judge_all(*percent, bad)[-1] == "behind"


def test_a_single_value_is_compared_as_such() -> None:
    once = [{"val_acc": [0.9]} for _ in range(6)]
    assert judge_all(*once, {"val_acc": [0.3]})[-1] == "behind"
    assert judge_all(*once, {"val_acc": [0.7]})[-1] == ""


def test_a_metric_that_collapsed_in_the_first_run() -> None:
    assert judge_all({"val_acc": [*learning(0.9), 0.1, 0.1, 0.1]}) == ["collapsed"]


@pytest.mark.parametrize(
    "curve",
    [
        learning(0.9),
        [*learning(0.9), 0.1, 0.9, 0.9],  # It recovered.
        [0.5, 0.52, 0.49, 0.51, 0.48, 0.5, 0.47],  # Noise, no training.
        [0.9, 0.1],
    ],
)
def test_what_is_no_collapse(curve: list[float]) -> None:
    assert judge_all({"val_acc": curve}) == [""]


def test_a_sick_run_does_not_become_what_is_usual() -> None:
    assert judge_all(*GOOD, *5 * [{"val_acc": learning(0.2)}])[-5:] == 5 * ["behind"]
