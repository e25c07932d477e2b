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
import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Protocol

Event = dict[str, Any]
Phase = Literal["train", "eval"]

Status = Literal[
    "completed", "stopped", "raised", "exited", "killed", "timeout", "out-of-memory", "cancelled"
]


class Numbers(Protocol):
    """A column of machine numbers: an array of Python's, or of NumPy's."""

    def tobytes(self) -> bytes:
        """As they lie in memory."""


class Series:
    """One recorded time series: values at optimizer steps, in the order they came.

    Kept as machine numbers: a trace of a large model has millions of them.

    Args:
        steps: Optimizer steps.
        values: The value at each of them.
    """

    __slots__ = ("_steps", "_values")

    def __init__(self, steps: Iterable[int] = (), values: Iterable[float] = ()) -> None:
        self._steps = array("q", steps)
        self._values = array("d", values)

    @property
    def steps(self) -> list[int]:
        """The steps, as a list of its own."""
        return self._steps.tolist()

    @property
    def values(self) -> list[float]:
        """The values, as a list of its own."""
        return self._values.tolist()

    @property
    def columns(self) -> tuple[array[int], array[float]]:
        """Steps and values as they are held, 64 bits each: to be read only."""
        return self._steps, self._values

    def append(self, step: int, value: float) -> None:
        """Add one point."""
        self._steps.append(step)
        self._values.append(value)

    def extend(self, steps: Numbers, values: Numbers) -> None:
        """Add many points: integers and floats of 64 bits."""
        self._steps.frombytes(steps.tobytes())
        self._values.frombytes(values.tobytes())

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return iter(zip(self._steps, self._values, strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Series):
            return NotImplemented
        return self._steps == other._steps and self._values == other._values

    __hash__ = None  # type: ignore[assignment]  # It grows.

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.steps}, {self.values})"

    @property
    def finite(self) -> Series:
        """The same series without NaN and infinities."""
        kept = [(step, value) for step, value in self if math.isfinite(value)]
        return Series([step for step, _ in kept], [value for _, value in kept])

    def since(self, step: int) -> Series:
        """The part of the series at ``step`` and later."""
        kept = [(s, value) for s, value in self if s >= step]
        return Series([s for s, _ in kept], [value for _, value in kept])


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """One module of the model, as it was when first seen in a forward pass.

    Attributes:
        where: Path from the root module, as in ``state_dict`` keys.
        type: Class name.
        source: Line of the user's code that constructed it, ``file.py:12``.
        parent: Path of the module that contains it; None for a root.
        parameters: Number of parameters, its children's included.
        running_statistics: Whether it is a norm that normalises with running statistics in eval.
        defined: Line of the user's code where its ``forward`` is defined.
    """

    where: str
    type: str
    source: str | None = None
    parent: str | None = None
    parameters: int = 0
    running_statistics: bool = False
    defined: str | None = None


@dataclass(frozen=True, slots=True)
class TermInfo:
    """One additive term of the loss.

    Attributes:
        where: Its name in the script.
        source: The line that computed it.
        operation: The torch function that made it, ``huber_loss``.
    """

    where: str
    source: str | None = None
    operation: str | None = None


@dataclass(frozen=True, slots=True)
class NoiseInfo:
    """One place where noise is added to activations.

    Attributes:
        where: The module in whose forward pass it is.
        source: The line that adds it, or that calls the library which does.
        operand: Which operand of the addition the noise is added to, 0 or 1.
    """

    where: str
    source: str | None = None
    operand: int = 0


@dataclass(frozen=True, slots=True)
class OptimizerInfo:
    """One parameter group of an optimizer.

    Attributes:
        where: Class of the optimizer; with the number of the group where there are several.
        type: Class of the optimizer.
        source: Line of the user's code that made the optimizer.
        parameters: Names of its weight matrices; of all its parameters where it has no matrices.
    """

    where: str
    type: str
    source: str | None = None
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoopInfo:
    """One optimizer as the training loop uses it.

    Attributes:
        where: The variable that holds it, ``optimizer``.
        type: Class name.
        source: The line that made it.
        backward: The line of the backward pass before its step.
        stepped: The line that has it make a step.
    """

    where: str
    type: str = ""
    source: str | None = None
    backward: str | None = None
    stepped: str | None = None


@dataclass(frozen=True, slots=True)
class ActivationInfo:
    """One activation within a model: not the last thing that it does.

    Attributes:
        where: Its module, or the layer that feeds it.
        source: The line that makes its module, or that calls the function.
        operation: Name of the torch function, ``relu``.
        kind: ``rectified``, ``sigmoid`` or ``tanh``.
        module: Path of its module; None for a call of a function.
        call: The function and the line that calls it, ``relu@train.py:12``.
        layer: Path of the layer that feeds it, where one does.
    """

    where: str
    source: str | None = None
    operation: str = ""
    kind: str = ""
    module: str | None = None
    call: str | None = None
    layer: str | None = None


@dataclass(frozen=True, slots=True)
class AttentionInfo:
    """One place at which attention is computed.

    Attributes:
        where: Its module, or the function that computes it.
        source: The line of its softmax, or that calls the function; that made its module where
            the module is torch's own.
        operation: Name of the torch function, ``softmax``.
        call: The function and the line that calls it, ``softmax@train.py:12``.
        module: Path of the module at work.
    """

    where: str
    source: str | None = None
    operation: str = ""
    call: str = ""
    module: str | None = None


@dataclass(frozen=True, slots=True)
class NonFinite:
    """The call that made the first NaN or infinity.

    Attributes:
        operation: Name of the torch function, ``log``.
        source: The line that calls it.
        direction: ``forward``: its result was not finite, ``backward``: its gradient.
        step: Optimizer steps done before.
    """

    operation: str
    source: str
    direction: str = "forward"
    step: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended.

    Attributes:
        status: ``completed`` (the script ran to its end), ``stopped`` (our step limit),
            ``raised``, ``exited`` (non-zero exit code), ``killed`` (by a signal), ``timeout``,
            ``out-of-memory`` (our memory limit), ``cancelled`` (by us, the run does not count).
        seconds: Wall time from the first line of the script to its end.
        steps: Optimizer steps done.
        exit_code: Exit code, or minus the signal's number.
        message: One line: the exception, the signal's name, the limit that was exceeded.
        source: Innermost line of the user's code in the traceback.
        output_tail: The last lines that the script wrote.
    """

    status: Status
    seconds: float = 0.0
    steps: int = 0
    exit_code: int | None = None
    message: str = ""
    source: str | None = None
    output_tail: str = ""

    @property
    def planned(self) -> bool:
        """Whether the run ended the way it should."""
        return self.status in ("completed", "stopped")


class MetricSeries(Series):
    """A metric of the script.

    Args:
        steps: Optimizer steps.
        values: The value at each of them.
        source: Where it was read: ``printed``, ``mlflow``, ``tensorboard`` or ``wandb``.
    """

    __slots__ = ("source",)

    def __init__(
        self,
        steps: Iterable[int] = (),
        values: Iterable[float] = (),
        source: str = "printed",
    ) -> None:
        super().__init__(steps, values)
        self.source = source


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
