"""P903: labels that the loss cannot take, or that say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from probes import _harm, _places, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_PERSISTS = 0.8
_FEWEST_POINTS = 3
_FEWEST_LABELS = 50
_NEARLY_BEST = 0.02
_MOST_IGNORED = 0.5
_TARGET = re.compile(r"Target (-?\d+) is out of bounds")


class LabelsOutOfRange(Probe):
    """Labels that the loss cannot take, or that say nothing.

    What it detects:
        Labels 1 and 2, -1 and 1, or 0 and 255 in a binary cross-entropy; 0 and 1 in a loss that
        takes -1 and 1, such as that of cosine embeddings or of hinges; a class that the model has
        no output for, which raises an exception; labels of a CTC loss that are its blank; labels
        that are nearly all ignored; labels that are all of one class.

    Why it harms:
        A label of 2 asks for a probability above one: the score grows without end, and all samples
        become positive. A pair labelled 0 where -1 is meant has no loss at all. A transcription
        with the blank in it cannot be read back, and its loss is no likelihood: it may be negative.
        Ignored labels have no gradient, and a single class has nothing to be told from.

    Rule:
        Probabilities below 0 or above 1, or labels that are neither -1 nor 1 in a loss that takes
        these, or labels that are the blank of a CTC loss, in four of five probed steps, three at
        least: severity 0.9, unless a bounded metric is within 0.02 of its best (0.3). A run that
        was broken off by a label that is out of bounds: 0.9. More than half of the labels ignored,
        or, of fifty and more, all the same in all probed steps (of a cross-entropy of several
        classes): an alarm (0.6) where the run got nowhere or is stuck far from its best, else an
        observation (0.3) of the former and nothing of the latter: masked language models ignore
        most labels, and contrastive losses have one class.

    Example:
        bad: ``F.binary_cross_entropy_with_logits(scores, y)`` with labels 1 and 2
        good: ``F.binary_cross_entropy_with_logits(scores, y - 1)``

    Source:
        The documentation of ``torch.nn.BCEWithLogitsLoss``, ``torch.nn.CrossEntropyLoss`` and
        ``torch.nn.CTCLoss`` ("target index cannot be blank"); Humbatova et al. 2020, Taxonomy of
        Real Faults in Deep Learning Systems (wrong labels).
    """

    code = "P903"
    name = "labels-out-of-range"
    signals = (
        "label.outside",
        "label.signed",
        "label.blank",
        "label.ignored",
        "label.lowest",
        "label.highest",
        "label.classes",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        crash = _crash(trace)
        if crash is not None:
            line, message = crash
            yield self._symptom(trace, line, 0.9, trace.steps, message, {})
        left = _progress.left(trace, metric)
        severity = 0.3 if left is not None and left <= _NEARLY_BEST else 0.9
        for line in trace.places("label.outside"):
            share = _persisting(trace, line, "label.outside", 0.0)
            if share is not None:
                signed = trace.signal("train", line, "label.signed").values
                takes = "-1 and 1" if signed else "probabilities from 0 to 1"
                message = (
                    f"labels from {_least(trace, line):g} to {_largest(trace, line):g} in a loss "
                    f"at {line} that takes {takes}"
                )
                yield self._symptom(trace, line, severity, 0, message, {"outside": share})
        for line in trace.places("label.blank"):
            share = _persisting(trace, line, "label.blank", 0.0)
            if share is not None:
                message = _blank(trace, line, share)
                yield self._symptom(trace, line, severity, 0, message, {"blank": share})
        for line in trace.places("label.ignored"):
            yield from self._classes(trace, metric, line)

    def _classes(self, trace: Trace, metric: Objective | None, line: str) -> Iterable[Symptom]:
        share = _persisting(trace, line, "label.ignored", _MOST_IGNORED)
        harmed = _harm.got_nowhere(trace, metric) or _harm.suffers(trace, metric)
        if share is not None:
            severity = ALARM + 0.1 if harmed else 0.3
            message = f"{share:.0%} of the labels at {line} are ignored (ignore_index)"
            yield self._symptom(trace, line, severity, 0, message, {"ignored": share})
        elif harmed and _is_one_class(trace, line):
            label = _largest(trace, line)
            message = f"all labels at {line} are of one class, {label:g}: check where they are made"
            yield self._symptom(trace, line, ALARM + 0.1, 0, message, {"label": label})

    def _symptom(
        self,
        trace: Trace,
        line: str,
        severity: float,
        step: int,
        message: str,
        evidence: dict[str, float],
    ) -> Symptom:
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=_places.term_at(trace, line),
            source=line if ":" in line else None,
            step=step,
            evidence=evidence,
            message=message,
        )


def _crash(trace: Trace) -> tuple[str, str] | None:
    """The line and the story of a label that broke the run off; None where none did."""
    ending = trace.ending
    found = _TARGET.search(ending.message) if ending and ending.status == "raised" else None
    if ending is None or found is None:
        return None
    line = ending.source or ""
    classes = trace.signal("train", line, "label.classes").finite.values
    if not classes:
        return line, f"the label {found[1]} at {line} has no output of the model"
    count = int(classes[-1])
    hint = "number the classes from 0" if int(found[1]) == count else "check the labels"
    return line, (
        f"the label {found[1]} at {line} has no output: the model makes {count} scores, for the "
        f"classes 0 to {count - 1}; {hint}, or make more outputs"
    )


def _blank(trace: Trace, line: str, share: float) -> str:
    classes = int(trace.signal("train", line, "label.classes").finite.values[-1])
    low, high = _least(trace, line), _largest(trace, line)
    hint = (
        f"pass blank={classes - 1}, if that is what the decoder takes for it, or number the labels "
        "from 1"
        if high < classes - 1
        else "give the model one more output for it"
    )
    return (
        f"{share:.1%} of the labels at {line} are the blank of this CTC loss, which no label may "
        f"be: labels from {low:g} to {high:g}, {classes} outputs; {hint}"
    )


def _persisting(trace: Trace, line: str, name: str, above: float) -> float | None:
    """The median of a share that is above a value in nearly all probed steps; else None."""
    values = trace.signal("train", line, name).finite.values
    high = sum(value > above for value in values)
    if len(values) < _FEWEST_POINTS or high < _PERSISTS * len(values):
        return None
    return _series.middle(values)


def _least(trace: Trace, line: str) -> float:
    return min(trace.signal("train", line, "label.lowest").finite.values, default=0.0)


def _largest(trace: Trace, line: str) -> float:
    return max(trace.signal("train", line, "label.highest").finite.values, default=0.0)


def _is_one_class(trace: Trace, line: str) -> bool:
    counts = trace.signal("train", line, "label.count").finite
    lowest = trace.signal("train", line, "label.lowest").finite.values
    highest = trace.signal("train", line, "label.highest").finite.values
    several = any(value > 1 for value in trace.signal("train", line, "label.classes").finite.values)
    same = len({*lowest, *highest}) == 1 and len(lowest) >= _FEWEST_POINTS
    return several and same and sum(counts.values) >= _FEWEST_LABELS
