from __future__ import annotations

import pytest

from probes.train_eval_divergence import TrainEvalDivergence

MODULES = [
    {"where": "Net", "type": "Net", "parent": None},
    {"where": "encoder", "type": "Encoder", "parent": "Net", "source": "train.py:7"},
    {"where": "encoder.norm", "type": "BatchNorm1d", "parent": "encoder",
     "running_statistics": True},
    {"where": "head", "type": "Linear", "parent": "Net"},
]  # fmt: skip


def statistics(train: float, evaluated: float, places: tuple[str, ...]) -> dict:
    """Spread per place: constant in training; in evaluation, ten values."""
    made = {}
    for where in places:
        for phase, value in (("train", train), ("eval", evaluated)):
            made[phase, where, "output.sample_std"] = [value] * 11
            made[phase, where, "output.std"] = [value] * 11
            made[phase, where, "output.mean"] = [0.0] * 11
    return made


def test_a_collapse_in_evaluation_is_found_at_the_part_that_holds_the_norms(make_trace) -> None:
    signals = statistics(0.72, 0.11, ("Net", "encoder", "encoder.norm", "head"))
    (symptom,) = TrainEvalDivergence().read(make_trace(signals, modules=MODULES))
    assert symptom.alarming
    assert symptom.where == "encoder"
    assert symptom.source == "train.py:7"
    assert symptom.evidence["train_std"] == pytest.approx(0.72)
    assert symptom.evidence["eval_std"] == pytest.approx(0.11)


def test_a_blow_up_in_evaluation_is_one_too(make_trace) -> None:
    signals = statistics(0.7, 3.5, ("encoder", "encoder.norm"))
    assert [s.alarming for s in TrainEvalDivergence().read(make_trace(signals, modules=MODULES))]


def test_a_shifted_mean_is_one_too(make_trace) -> None:
    signals = statistics(1.0, 1.0, ("encoder", "encoder.norm"))
    for where in ("encoder", "encoder.norm"):
        signals["eval", where, "output.mean"] = [1.6] * 11
    (symptom,) = TrainEvalDivergence().read(make_trace(signals, modules=MODULES))
    assert symptom.alarming


def test_sampling_noise_is_none(make_trace) -> None:
    signals = statistics(0.7, 0.5, ("Net", "encoder", "encoder.norm"))
    assert not list(TrainEvalDivergence().read(make_trace(signals, modules=MODULES)))


def test_a_divergence_that_passes_is_none(make_trace) -> None:
    signals = statistics(0.7, 0.7, ("encoder", "encoder.norm"))
    for where in ("encoder", "encoder.norm"):
        signals["eval", where, "output.sample_std"] = [0.01] * 4 + [0.7] * 7
    assert not list(TrainEvalDivergence().read(make_trace(signals, modules=MODULES)))


def test_dropout_without_running_statistics_is_none(make_trace) -> None:
    modules = [{**module, "running_statistics": False} for module in MODULES]
    signals = statistics(2.0, 0.2, ("Net", "encoder", "encoder.norm"))
    assert not list(TrainEvalDivergence().read(make_trace(signals, modules=modules)))


def test_a_part_whose_output_agrees_is_no_alarm(make_trace) -> None:
    """Wrong inside, put right by what follows: nothing that counts is different."""
    signals = statistics(0.7, 0.1, ("encoder.norm",)) | statistics(0.7, 0.6, ("encoder",))
    found = TrainEvalDivergence().read(make_trace(signals, modules=MODULES))
    assert not any(symptom.alarming for symptom in found)
