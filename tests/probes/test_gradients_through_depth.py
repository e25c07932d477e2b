from __future__ import annotations

import pytest

from probes import Objective
from probes.exploding_gradients import ExplodingGradients
from probes.trace import Trace
from probes.vanishing_gradients import VanishingGradients

METRIC = Objective(name="val_acc", mode="max")
STUCK, WELL = [0.3] * 8, [0.3, 0.8, 0.9, 0.95, 0.95]


def deep(make_trace, norms: list[float], curve: list[float] = STUCK) -> Trace:
    signals, modules = {}, []
    for number, norm in enumerate(norms):
        where = f"layers.{number}"
        modules.append({"where": where, "type": "Linear", "source": f"train.py:{number}"})
        signals["train", where, "output.mean"] = [0.0] * 8
        signals["train", where, "gradient.call1"] = [norm] * 8
    return make_trace(signals, {"val_acc": curve}, modules=modules)


def test_a_gradient_that_dies_out(make_trace) -> None:
    trace = deep(make_trace, [1e-7, 1e-5, 1e-3, 1e-2, 1.0])
    (symptom,) = VanishingGradients().read(trace, METRIC)
    assert (symptom.where, symptom.source) == ("layers.0", "train.py:0")
    assert symptom.severity == pytest.approx(0.6 + 0.4 * 4 / 5)
    assert not list(ExplodingGradients().read(trace, METRIC))


def test_a_gradient_that_grows(make_trace) -> None:
    trace = deep(make_trace, [1e4, 1e3, 1e2, 10.0, 1.0])
    (symptom,) = ExplodingGradients().read(trace, METRIC)
    assert symptom.where == "layers.0" and symptom.alarming
    assert not list(VanishingGradients().read(trace, METRIC))


@pytest.mark.parametrize(
    ("norms", "curve", "severities"),
    [
        ([1e-7, 1e-5, 1e-3, 1e-2, 1.0], WELL, [0.3]),  # it learns all the same
        ([1e-2, 1e-1, 1.0, 1.0], STUCK, []),  # a hundredth is not much
        ([1e-9, 1e-9, 1e-9, 1.0, 1.0], STUCK, []),  # one step: something was cut off there
        ([1e-7, 1e-3, 1.0], STUCK, []),  # no deep stack
    ],
)
def test_near_misses(make_trace, norms, curve, severities) -> None:
    found = VanishingGradients().read(deep(make_trace, norms, curve), METRIC)
    assert [symptom.severity for symptom in found] == severities


@pytest.mark.parametrize(("norms", "probe"), [
    ([1e-6, 1e-5, 1e-3, 1.0], VanishingGradients), ([1e6, 1e5, 1e3, 1.0], ExplodingGradients),
])  # fmt: skip
def test_over_time(make_trace, norms, probe) -> None:
    calls = zip((1, 2, 4, 8), norms, strict=True)
    signals = {("train", "cell", f"gradient.call{n}"): [norm] * 8 for n, norm in calls}
    (symptom,) = probe().read(make_trace(signals, {"val_acc": STUCK}), METRIC)
    assert symptom.where == "cell" and symptom.alarming
    assert "steps in time" in symptom.message


def test_through_a_recurrent_layer(make_trace) -> None:
    signals = {
        ("train", "memory", "gradient.time"): [1e-9] * 8,
        ("train", "memory", "gradient.length"): [80.0] * 8,
    }
    (symptom,) = VanishingGradients().read(make_trace(signals, {"val_acc": STUCK}), METRIC)
    assert symptom.where == "memory" and symptom.evidence["length"] == 80


@pytest.mark.parametrize(("end", "alarming"), [(0.99, False), (0.9, True)])
def test_huge_losses_of_few_samples_are_no_harm_at_the_top(make_trace, end, alarming) -> None:
    trace = deep(make_trace, [1e4, 1e3, 1e2, 10.0, 1.0], [0.2, 0.5, 0.9, end, end, end])
    far_off = make_trace(
        {
            ("train", "loss", "prediction.loss"): [90.0] * 8,
            ("train", "loss", "label.entropy"): [1.0] * 8,
        }
    )
    trace.signals |= far_off.signals
    (symptom,) = ExplodingGradients().read(trace, METRIC)
    assert symptom.alarming is alarming


@pytest.mark.parametrize(
    ("unknown", "alarms"),
    [
        ([90.0, 5.0, 2.0, 1.1, 1.0, 1.0, 1.0, 0.95], ["cell"]),  # Never better than a constant.
        ([90.0, 5.0, 2.0, 1.1, 0.5, 0.3, 0.2, 0.1], []),
        ([1.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], []),  # It began well: there is nothing to learn.
    ],
)
def test_a_run_that_never_got_over_how_it_began(make_trace, unknown, alarms) -> None:
    signals = {
        ("train", "cell", f"gradient.call{n}"): [first] + [1.0] * 7
        for n, first in ((1, 100.0), (2, 80.0), (4, 40.0), (8, 10.0), (16, 1.0))
    }
    signals["train", "train.py:9", "target.unexplained"] = unknown
    found = ExplodingGradients().read(make_trace(signals), None)
    assert [symptom.where for symptom in found if symptom.alarming] == alarms
