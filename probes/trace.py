"""Everything recorded in one run of a workload.

A trace is built from *events*: plain JSON objects that the process of the trial streams while it
runs. Feeding the same events in the same order always gives the same trace, so a trace that broke
off in the middle is as readable as a whole one.

Events, by their ``event`` key:

========== ======================================================================================
module     ``where``, ``type``, ``source``, ``parent``, ``parameters``: one module of the model
term       ``where``, ``source``, ``operation``: one loss term
noise      ``where``, ``source``, ``operand``: one place where noise is added to activations
activation ``where``, ``source``, ``operation``, ``kind``, ``module``, ``call``, if hidden
attention  ``where``, ``source``, ``operation``, ``call``, ``module``: one place of attention
nonfinite  ``operation``, ``source``, ``direction``, ``step``: what made the first NaN
loop       the fields of `LoopInfo`: one optimizer as the training loop uses it
optimizer  ``where``, ``type``, ``source``, ``parameters``: one parameter group of an optimizer
signals    ``step``, ``phase``, ``rows`` of ``[where, name, value]``
metric     ``step``, ``name``, ``value``, ``source``: one number that the script printed or logged
progress   ``step``: optimizer steps done so far
applied    ``remedy``, ``target``, ``detail``: a remedy took effect
note       ``text``: something that the reader of the trace should know
ending     the fields of `Ending`
========== ======================================================================================
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Any, Literal

from probes.facts import (
    ActivationInfo,
    AttentionInfo,
    Ending,
    LoopInfo,
    ModuleInfo,
    NoiseInfo,
    NonFinite,
    OptimizerInfo,
    TermInfo,
)
from probes.series import MetricSeries, Series

Event = dict[str, Any]
Phase = Literal["train", "eval"]


class Trace:
    """Signals, metrics, module tree, loss terms and ending of one run."""

    def __init__(self) -> None:
        self.signals: dict[tuple[Phase, str, str], Series] = {}
        self.metrics: dict[str, MetricSeries] = {}
        self.modules: dict[str, ModuleInfo] = {}
        self.terms: dict[str, TermInfo] = {}
        self.noises: dict[str, NoiseInfo] = {}
        self.loops: dict[str, LoopInfo] = {}
        self.optimizers: dict[str, OptimizerInfo] = {}
        self.activations: dict[str, ActivationInfo] = {}
        self.attentions: dict[str, AttentionInfo] = {}
        self.non_finite: NonFinite | None = None
        self.applied: list[Event] = []
        self.notes: list[str] = []
        self.steps = 0
        self.ending: Ending | None = None

    @classmethod
    def of(cls, events: Iterable[Event]) -> Trace:
        """The trace that the events make."""
        trace = cls()
        for event in events:
            trace.feed(event)
        return trace

    def feed(self, event: Event) -> None:
        """Take in one event. Unknown kinds are ignored, so that old readers read new traces."""
        match event["event"]:
            case "signals":
                self._feed_signals(event)
            case "metric":
                self._feed_metric(event)
            case "module":
                info = ModuleInfo(**_known_fields(ModuleInfo, event))
                self.modules[info.where] = info
            case "term":
                self.terms[event["where"]] = TermInfo(**_known_fields(TermInfo, event))
            case "noise":
                self.noises[event["where"]] = NoiseInfo(**_known_fields(NoiseInfo, event))
            case "loop":
                loop = LoopInfo(**_known_fields(LoopInfo, event))
                self.loops[loop.where] = loop
            case "optimizer":
                known = _known_fields(OptimizerInfo, event)
                known["parameters"] = tuple(known.get("parameters", ()))
                self.optimizers[event["where"]] = OptimizerInfo(**known)
            case "activation":
                activation = ActivationInfo(**_known_fields(ActivationInfo, event))
                self.activations[activation.where] = activation
            case "attention":
                attention = AttentionInfo(**_known_fields(AttentionInfo, event))
                self.attentions[attention.where] = attention
            case "nonfinite" if self.non_finite is None:
                self.non_finite = NonFinite(**_known_fields(NonFinite, event))
            case "progress":
                self.steps = max(self.steps, event["step"])
            case "applied":
                self.applied.append(event)
            case "note":
                self.notes.append(event["text"])
            case "ending":
                self.ending = Ending(**_known_fields(Ending, event))
                self.steps = max(self.steps, self.ending.steps)

    def _feed_signals(self, event: Event) -> None:
        step, phase = event["step"], event["phase"]
        self.steps = max(self.steps, step)
        for where, name, value in event["rows"]:
            series = self.signals.get((phase, where, name))
            if series is None:
                series = self.signals[phase, where, name] = Series()
            series.append(step, value)

    def _feed_metric(self, event: Event) -> None:
        series = self.metrics.setdefault(
            event["name"], MetricSeries(source=event.get("source", "printed"))
        )
        series.append(event["step"], event["value"])

    def facts(self) -> Iterator[Event]:
        """The events of all but signals and metrics: `of` makes the same of them again."""
        yield {"event": "progress", "step": self.steps}
        kinds: dict[str, Iterable[Any]] = {
            "module": self.modules.values(),
            "term": self.terms.values(),
            "noise": self.noises.values(),
            "loop": self.loops.values(),
            "optimizer": self.optimizers.values(),
            "activation": self.activations.values(),
            "attention": self.attentions.values(),
            "nonfinite": [self.non_finite] if self.non_finite else [],
        }
        for kind, found in kinds.items():
            yield from ({"event": kind, **asdict(info)} for info in found)
        yield from self.applied
        yield from ({"event": "note", "text": note} for note in self.notes)
        if self.ending is not None:
            yield {"event": "ending", **asdict(self.ending)}

    def before(self, step: int) -> Trace:
        """What the trace of a run would be that was stopped after so many steps."""
        cut = copy.copy(self)  # What is told of the program is told in its first steps.
        cut.signals, cut.metrics, cut.ending = {}, {}, None
        for key, series in self.signals.items():
            if steps := [s for s in series.steps if s < step]:
                cut.signals[key] = Series(steps, series.values[: len(steps)])
        for name, metric in self.metrics.items():
            if steps := [s for s in metric.steps if s < step]:
                values = metric.values[: len(steps)]
                cut.metrics[name] = MetricSeries(steps, values, source=metric.source)
        if self.non_finite is not None and self.non_finite.step >= step:
            cut.non_finite = None
        cut.steps = min(step, self.steps)
        return cut

    def signal(self, phase: Phase, where: str, name: str) -> Series:
        """The series of one signal; empty when it was not recorded."""
        return self.signals.get((phase, where, name), Series())

    def places(self, name: str, phase: Phase = "train") -> list[str]:
        """Where the signal was recorded, in order of first appearance."""
        return [where for p, where, n in self.signals if p == phase and n == name]


def _known_fields(cls: type, event: Event) -> Event:
    names = {f.name for f in fields(cls)}
    return {key: value for key, value in event.items() if key in names}
