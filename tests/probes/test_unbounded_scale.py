from __future__ import annotations

from pathlib import Path

import pytest

from probes import Objective
from probes.unbounded_scale import UnboundedScale

METRIC = Objective(name="val_acc", mode="max")
STUCK = {"val_acc": [0.4, 0.41, 0.42, 0.43, 0.44]}
MODULES = [
    {"where": "Net", "type": "Net", "parent": None},
    {"where": "encoder", "type": "Encoder", "parent": "Net", "source": "train.py:7"},
    {"where": "encoder.layers", "type": "ModuleList", "parent": "encoder"},
    {"where": "encoder.layers.0", "type": "Layer", "parent": "encoder.layers"},
    {"where": "encoder.layers.1", "type": "Layer", "parent": "encoder.layers"},
    {"where": "other", "type": "Encoder", "parent": "Net", "source": "train.py:8"},
    {"where": "head", "type": "Sequential", "parent": "Net"},
]  # fmt: skip
SICK = {
    "encoder.layers.0": (0.3, 1.5, 1.0),
    "encoder.layers.1": (0.1, 2.0, 40.0),
    "encoder": (0.1, 2.0, 40.0),
    "other": (0.95, 1e-6, 1.0),
    "head": (0.9, 1.0, 3.0),
    "Net": (0.9, 1.0, 3.0),
}
"""Balance, alignment and rms by place."""


def signals(places: dict[str, tuple[float, float, float]]) -> dict:
    made = {}
    for where, (balance, alignment, rms) in places.items():
        made["train", where, "scale.balance"] = [balance] * 11
        made["train", where, "scale.alignment"] = [alignment] * 11
        made["train", where, "scale.positions"] = [1.0 if where in ("head", "Net") else 8.0] * 11
        made["train", where, "output.rms"] = [rms] * 11
    return made


def read(make_trace, changes: dict | None = None, metrics: dict | None = None, **options):
    trace = make_trace(signals(SICK | (changes or {})), metrics or STUCK, modules=MODULES)
    return list(UnboundedScale().read(trace, options.get("metric", METRIC)))


def test_the_outermost_module_is_named_and_all_others_of_its_class(make_trace) -> None:
    (symptom,) = read(make_trace)
    assert symptom.severity == pytest.approx(0.9)
    assert (symptom.where, symptom.source) == ("encoder", "train.py:7")
    assert symptom.evidence["growth_with_depth"] == pytest.approx(40.0)
    assert symptom.evidence["same_class"] == 1
    assert symptom.evidence["same_class_affected"] == 0
    assert "other (not affected, a norm comes next)" in symptom.message


def test_a_second_affected_one_is_named_too(make_trace) -> None:
    found = read(make_trace, {"other": (0.2, 1.0, 9.0)})
    assert [symptom.where for symptom in found] == ["encoder"]  # the other does not grow
    assert found[0].evidence["same_class_affected"] == 1
    assert "other (affected)" in found[0].message


def test_growth_during_training_counts_as_well(make_trace) -> None:
    made = signals(SICK | {"encoder.layers.0": (0.1, 2.0, 40.0)})
    assert not list(UnboundedScale().read(make_trace(made, STUCK, modules=MODULES), METRIC))
    made["train", "encoder", "output.rms"] = [4.0 * (1 + step) for step in range(11)]
    (symptom,) = UnboundedScale().read(make_trace(made, STUCK, modules=MODULES), METRIC)
    assert symptom.alarming and symptom.evidence["growth_in_training"] > 2


def test_a_norm_after_pooling_is_told(make_trace) -> None:
    made = signals(SICK)
    made["train", "encoder", "scale.sample_alignment"] = [1e-5] * 11
    (symptom,) = UnboundedScale().read(make_trace(made, STUCK, modules=MODULES), METRIC)
    assert "a norm comes only after the positions of a sample are joined" in symptom.message


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": (1.0, 2.0, 1.0), "encoder.layers.1": (0.1, 1e-6, 40.0)},
        {"encoder": (0.1, 1e-6, 40.0), "encoder.layers.1": (0.1, 1e-6, 40.0)},
        {"encoder": (0.8, 2.0, 40.0), "encoder.layers.1": (0.8, 2.0, 40.0)},
        {"encoder": (0.1, 2.0, 1.5), "encoder.layers.1": (0.1, 2.0, 1.5)},
    ],
    ids=["a norm at its end", "a norm right behind it", "even positions", "no growth"],
)
def test_a_healthy_stream_is_none(make_trace, changes) -> None:
    assert not read(make_trace, changes)


def growing(places: dict[str, tuple[float, float, float]]) -> dict:
    made = signals(places)
    for where in places:
        made["train", where, "output.rms"] = [4.0 * (1 + step) for step in range(11)]
    made["train", "Net", "output.rms"] = [1.0] * 11
    return made


def test_what_a_norm_evens_out_in_the_end_is_none(make_trace) -> None:
    parts = [
        {"where": f"encoder.layers.1.{n}", "type": "Mlp", "parent": "encoder.layers.1"}
        for n in "ab"
    ]
    inner = {"encoder.layers.1.b": (0.1, 2.0, 1.0)}
    for encoder, layer in (((1.0, 2.0, 1.0), (0.1, 1e-6, 1.0)), ((0.1, 1e-6, 1.0),) * 2):
        places = SICK | {"encoder": encoder, "encoder.layers.1": layer} | inner
        trace = make_trace(growing(places), STUCK, modules=[*MODULES, *parts])
        assert not list(UnboundedScale().read(trace, METRIC))


def test_of_a_stack_only_the_last_layer_can_be_one(make_trace) -> None:
    places = {key: value for key, value in SICK.items() if key != "encoder"}
    (found,) = UnboundedScale().read(make_trace(growing(places), STUCK, modules=MODULES), METRIC)
    assert found.where == "encoder.layers.1"
    normed = growing(places | {"encoder.layers.1": (0.1, 1e-6, 1.0)})
    assert not list(UnboundedScale().read(make_trace(normed, STUCK, modules=MODULES), METRIC))


def test_without_harm_it_is_an_observation(make_trace) -> None:
    for found in (
        read(make_trace, metrics={"val_acc": [0.4, 0.6, 0.8, 0.9, 0.95]}),
        read(make_trace, metric=None),
    ):
        assert [symptom.severity for symptom in found] == [0.3]


def test_uneven_only_at_the_start_is_none(make_trace) -> None:
    made = signals(SICK)
    for where in ("encoder", "encoder.layers.1"):
        made["train", where, "scale.balance"] = [0.1] * 5 + [0.9] * 6
    assert not list(UnboundedScale().read(make_trace(made, STUCK, modules=MODULES), METRIC))


def test_what_the_model_puts_out_is_none(make_trace) -> None:
    assert not read(
        make_trace,
        {
            "encoder": (0.9, 1.0, 1.0),
            "encoder.layers.1": (0.9, 1.0, 1.0),
            "head": (0.1, 1.0, 3.0),
            "Net": (0.1, 1.0, 3.0),
        },
    )


def test_channels_before_positions_are_left_out(make_trace) -> None:
    convolution = {"where": "encoder.first", "type": "Conv2d", "parent": "encoder"}
    trace = make_trace(signals(SICK), STUCK, modules=[*MODULES, convolution])
    assert "encoder" not in [s.where for s in UnboundedScale().read(trace, METRIC)]


@pytest.mark.slow
def test_another_script_with_the_same_fault(run_script) -> None:
    trace = run_script(Path(__file__).parents[1] / "sick" / "unbounded_encoder.py")
    (symptom,) = UnboundedScale().read(trace, Objective.infer(trace))
    assert symptom.alarming and symptom.where == "mixer"
    assert symptom.source == "unbounded_encoder.py:37"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sick", "healthy"])
def test_the_workload(run_script, name) -> None:
    folder = Path(__file__).parents[2] / "workloads" / "unbounded_encoder"
    trace = run_script(folder / f"{name}.py", "--epochs", "4", "--train-size", "1280")
    found = list(UnboundedScale().read(trace, Objective.infer(trace)))
    assert [(s.where, s.alarming) for s in found] == ([("encoder", True)] if name == "sick" else [])
