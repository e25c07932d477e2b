"""What every probe and every remedy has to keep to; a new one is taken in by itself."""

from __future__ import annotations

import functools
import inspect
import json
import math
import pickle
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from agent.cli import main
from probes import Probe, Trace, probes
from probes.objective import Objective
from probes.symptom import Symptom
from remedies import Action, Remedy, remedies
from remedies.base import Remedy as RemedyBase
from remedies.space import Choice, Range
from remedies.treatment import describe

UNITS: list[Probe | Remedy] = [*probes, *remedies]
HEADINGS = {
    Probe: ("What it detects", "Why it harms", "Rule", "Example", "Source"),
    RemedyBase: ("What it does", "When it helps", "Parameters", "In the script", "Source"),
}
METRIC = Objective(name="val_acc", mode="max")


def each(units: Iterable[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("unit", units, ids=lambda unit: unit.code)


def signal_names() -> list[str]:
    return sorted({name for probe in probes for name in probe.signals})


@functools.cache
def trace_of(values: tuple[float, ...], ended: bool = True) -> Trace:
    """A run with all signals that any probe reads, at every place, with these values."""
    events: list[dict[str, Any]] = [
        {"event": "module", "where": "", "type": "Net", "parent": None, "parameters": 9},
        {
            "event": "module",
            "where": "norm",
            "type": "BatchNorm1d",
            "parent": "",
            "parameters": 4,
            "running_statistics": True,
        },
        {"event": "term", "where": "penalty", "source": "train.py:1"},
        {"event": "term", "where": "class_loss", "source": "train.py:2"},
    ]
    places = ["", "norm", "norm.weight", "penalty", "class_loss", "total", "loss"]
    for step, value in enumerate(values):
        rows = [[where, name, value] for where in places for name in signal_names()]
        for phase in ("train", "eval"):
            events.append({"event": "signals", "step": step, "phase": phase, "rows": rows})
        events.append({"event": "metric", "name": "val_acc", "step": step, "value": 0.5})
    if ended:
        events.append({"event": "ending", "status": "completed", "steps": len(values)})
    return Trace.of(events)


# --- both ---


@each(UNITS)
def test_code_and_name(unit: Probe | Remedy) -> None:
    letter = "P" if isinstance(unit, Probe) else "R"
    assert re.fullmatch(rf"{letter}\d{{3}}", unit.code)
    assert re.fullmatch(r"[a-z]+[0-9]*(-[a-z0-9]+)*", unit.name), "kebab case"
    assert type(unit).__module__.endswith("." + unit.name.replace("-", "_")), "one file, its name"


def test_codes_and_names_are_unique() -> None:
    keys = [key for unit in UNITS for key in (unit.code, unit.name)]
    assert len(keys) == len(set(keys))
    assert list(probes) and list(remedies)


@each(UNITS)
def test_docstring(unit: Probe | Remedy) -> None:
    text = inspect.cleandoc(type(unit).__doc__ or "")
    first, blank, *_ = text.splitlines()
    assert first.endswith(".") and len(first) <= 100 and not blank, "one line, then a blank one"
    kind = Probe if isinstance(unit, Probe) else RemedyBase
    found = re.findall(r"^([A-Z][a-z ]+):$", text, flags=re.M)
    assert tuple(found) == HEADINGS[kind]
    for body in re.split(r"^[A-Z][a-z ]+:$", text, flags=re.M)[1:]:
        assert body.strip(), "a heading with nothing below it"


@each(UNITS)
def test_explain_renders_it(unit: Probe | Remedy, capsys: pytest.CaptureFixture[str]) -> None:
    for key in (unit.code, unit.name):
        assert main(["explain", key]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"{unit.code} {unit.name}\n")
        assert "Source:" in shown and "``" not in shown


def test_no_module_of_a_unit_imports_torch() -> None:
    modules = sorted({type(unit).__module__ for unit in UNITS})
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert not {'torch', 'ray', 'mlflow', 'optuna'} & set(sys.modules), name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- probes ---


@each(probes)
@pytest.mark.parametrize("metric", [None, METRIC], ids=["no metric", "metric"])
def test_an_empty_trace_has_no_symptom(unit: Probe, metric: Objective | None) -> None:
    assert list(unit.read(Trace(), metric)) == []


@each(probes)
@pytest.mark.parametrize("ended", [True, False], ids=["ended", "broke off"])
@pytest.mark.parametrize(
    "values",
    [(math.nan,) * 40, (math.inf,) * 40, (math.nan, math.inf, -math.inf) * 13, (math.nan,)],
    ids=["nan", "inf", "mixed", "one"],
)
def test_a_trace_without_a_finite_number_breaks_no_probe(
    unit: Probe, values: tuple[float, ...], ended: bool
) -> None:
    for metric in (None, METRIC):
        found = list(unit.read(trace_of(values, ended), metric))
        if unit.code != "P301":  # Numbers that are not finite are what it is there for.
            assert found == []


@each(probes)
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e30], ids=str)
def test_a_trace_in_which_nothing_moves_breaks_no_probe(unit: Probe, value: float) -> None:
    for symptom in unit.read(trace_of((value,) * 40), METRIC):
        assert (symptom.code, symptom.name) == (unit.code, unit.name)
        assert all(map(math.isfinite, symptom.evidence.values()))
        assert symptom.message


@each(probes)
def test_reading_is_pure(unit: Probe) -> None:
    trace = trace_of(tuple(0.1 * step for step in range(40)))
    before = pickle.dumps(trace)
    first, second = list(unit.read(trace, METRIC)), list(unit.read(trace, METRIC))
    assert first == second
    assert pickle.dumps(trace) == before


@each(probes)
def test_a_probe_says_which_signals_it_reads(unit: Probe) -> None:
    assert isinstance(unit.signals, tuple)
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z0-9_]+)*", name) for name in unit.signals)


@each(probes)
def test_some_remedy_treats_every_fault(unit: Probe) -> None:
    treated = any(unit.code in remedy.treats for remedy in remedies)
    assert treated is not unit.advice_only


# --- remedies ---


@each(remedies)
def test_a_remedy_treats_symptoms_that_there_are(unit: Remedy) -> None:
    if not unit.treats:  # It is offered by something else than a symptom.
        assert list(unit.targets([], trace_of((1.0,) * 4))) == []
    assert set(unit.treats) <= {probe.code for probe in probes}
    assert all(0 < chance <= 1 for chance in unit.treats.values())
    assert unit.acts_on


@each(remedies)
def test_defaults_lie_within_their_space(unit: Remedy) -> None:
    for name, dimension in unit.space.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        match dimension:
            case Choice():
                assert dimension.default in dimension.options
                assert len(set(dimension.options)) == len(dimension.options) > 1
            case Range():
                assert dimension.low < dimension.high
                assert dimension.low <= dimension.default <= dimension.high
                assert dimension.low > 0 or not dimension.log


@each(remedies)
@pytest.mark.parametrize("target", ["", "net.1,net.4", "penalty"])
def test_the_default_action_survives_json(unit: Remedy, target: str) -> None:
    action = unit.default(target)
    assert Action.model_validate(json.loads(action.model_dump_json())) == action
    assert (action.remedy, action.name, action.target) == (unit.code, unit.name, target)
    assert set(action.params) == set(unit.space)
    for name, value in action.params.items():
        dimension = unit.space[name]
        assert isinstance(dimension, Range) or value in dimension.options
    assert unit.name in describe((action,))
    assert unit.advice(action).strip()


@each(remedies)
def test_targets_of_an_empty_trace_break_nothing(unit: Remedy) -> None:
    assert all(isinstance(target, str) for target in unit.targets([], Trace()))
    for code in unit.treats:
        symptom = Symptom(code=code, name="x", severity=1, where="gone", message="")
        assert all(isinstance(found, str) for found in unit.targets([symptom], Trace()))


@each(remedies)
def test_targets_are_in_the_trace_and_not_repeated(unit: Remedy) -> None:
    trace = trace_of((1.0,) * 4)
    for code in unit.treats:
        symptom = Symptom(code=code, name="x", severity=1, where="norm", message="")
        found = list(unit.targets([symptom], trace))
        assert len(found) == len(set(found))
        named = {part for target in found for part in target.split(",") if part}
        assert named <= {*trace.modules, *trace.terms, *(where for _, where, _ in trace.signals)}
