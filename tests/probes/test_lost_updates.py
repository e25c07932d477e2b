from __future__ import annotations

from collections.abc import Sequence

import pytest

from probes.lost_updates import LostUpdates
from probes.objective import Objective
from probes.trace import Event, Trace

ACCURACY = Objective(name="val_acc", mode="max")
SLOW, GOOD = [0.3, 0.32, 0.35, 0.38], [0.3, 0.6, 0.8, 0.9]
STEPS = 60


def run(
    *shares: float,
    sizes: Sequence[float] = (),
    metric: Sequence[float] = SLOW,
    losses: Sequence[float] = (1.4, 1.3),
    rates: Sequence[float] = (1e-3,),
    cast: str | None = None,
) -> Trace:
    """A run whose matrices lose these shares of their gradients at the rates, one after another."""
    names = [f"layers.{number}.weight" for number, _ in enumerate(shares)]
    optimizer = {"where": "Adam", "type": "Adam", "source": "train.py:9", "parameters": names}
    events: list[Event] = [{"event": "optimizer", **optimizer}]
    for step in range(STEPS):
        place = step * len(rates) // STEPS
        rows: list[list[object]] = [
            ["Adam", "optimizer.lr", rates[place]],
            ["loss", "loss.value", losses[step * len(losses) // STEPS]],
        ]
        for name, share, size in zip(names, shares, sizes or [100.0] * len(names), strict=True):
            # Less than half of the highest rate loses everything.
            lost = share if rates[place] >= max(rates) / 2 else 1.0
            rows += [[name, "update.lost", lost], [name, "update.elements", size]]
        if cast and step == 0:
            rows.append([cast, "cast.half", 1.0])
        events.append({"event": "signals", "step": step, "phase": "train", "rows": rows})
    for place, value in enumerate(metric, start=1):
        step = STEPS * place // len(metric)
        events.append({"event": "metric", "step": step, "name": "val_acc", "value": value})
    return Trace.of([*events, {"event": "progress", "step": STEPS}])


def test_most_of_the_gradient_moves_nothing() -> None:
    (symptom,) = LostUpdates().read(run(0.9, 0.7, cast="train.py:4"), ACCURACY)
    assert (symptom.where, symptom.source) == ("Adam", "train.py:4")
    assert symptom.evidence["lost"] == pytest.approx(0.8)
    assert symptom.severity == pytest.approx(0.5 + 0.4 * 0.6)
    assert "80% of the gradient" in symptom.message


def test_without_a_cast_the_line_is_that_of_the_optimizer() -> None:
    (symptom,) = LostUpdates().read(run(1.0), ACCURACY)
    assert symptom.source == "train.py:9" and symptom.severity == pytest.approx(0.9)


def test_the_largest_matrices_decide() -> None:
    (symptom,) = LostUpdates().read(run(0.9, 0.1, sizes=[900.0, 100.0]), ACCURACY)
    assert symptom.evidence["elements"] == 0.9 and "layers.0" in symptom.message
    assert not list(LostUpdates().read(run(0.9, 0.1, sizes=[100.0, 900.0]), ACCURACY))


@pytest.mark.parametrize(
    "trace",
    [
        pytest.param(run(0.4, 0.3), id="most of it moves"),
        pytest.param(run(0.9, metric=GOOD), id="the metric rises"),
        pytest.param(run(0.9, losses=[1.4, 0.5]), id="the loss falls"),
        pytest.param(run(0.2, rates=[1e-5, 1e-3, 1e-5, 1e-5]), id="ends of a schedule"),
        pytest.param(run(0.9, rates=[0.0]), id="no rate"),
        pytest.param(run(), id="nothing in half precision"),
    ],
)
def test_nothing_is_found(trace) -> None:
    assert not list(LostUpdates().read(trace, ACCURACY))


def test_a_few_steps_are_too_few() -> None:
    rates = [1e-3, *[1e-5] * 9]  # six steps at the full rate
    assert not list(LostUpdates().read(run(0.9, rates=rates), ACCURACY))
