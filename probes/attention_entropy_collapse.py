"""P704: attention that looks at one key only, or along the wrong axis."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _harm, _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_SHARP = 0.1
_LARGE = 5.0
_FLAT = 0.999
_TINY = 1e-3
_PERSISTS = 0.8
_FEWEST_POINTS = 4
_FEWEST_KEYS = 3.0
_MOST_TOLD = 3


class AttentionEntropyCollapse(Probe):
    """Attention that looks at one key only, or along the wrong axis.

    What it detects:
        Attention (torch's function, torch's module, or a softmax that is multiplied with values)
        whose weights are one-hot, because its scores are far too large: not divided by the square
        root of the width, or made by weights that began or grew too large. And a softmax that runs
        along another axis than the one over which the values are summed, or that is applied to what
        a softmax has given.

    Why it harms:
        The slope of a softmax at one-hot weights is zero: queries and keys learn nothing more, and
        what is looked at was decided by chance. A sum whose weights do not sum to one mixes queries
        with each other. A softmax of weights, which lie between 0 and 1, gives no key more than e
        times the weight of any other: all are looked at, whatever was found.

    Rule:
        In the median over the second half of the run and in four of five of its points, the weights
        of a query over the keys that it may look at have less than a tenth of the entropy of equal
        ones, over at least three keys, and its scores have a standard deviation above 5. That alone
        is an observation (severity 0.3): a trained head may well look at one key. It is an alarm,
        of severity 0.6 to 1 with the lost entropy, where the run suffers: its predictions are no
        better than a constant, or its metric stands still with more than a fifth of the way left.
        Where all attention of a model begins like that (less than a fifth of the entropy, the same
        scores), it is no trained head that found its key: an alarm of 0.6 where the metric has more
        than a fifth of its range left, even if the rest of the model still learns.
        A softmax along another axis is an observation, too, and an alarm where the run suffers.
        Scores that are weights already at every point (none below 0, their sum 1) are a bug that
        nobody writes on purpose: severity 0.9, unless a bounded metric is within 0.02 of its best
        (0.3). Weights that stay uniform, of scores below 0.001, are an observation.

    Example:
        bad: ``softmax(q @ k.transpose(-2, -1) * math.sqrt(width), -1)``: scores with a standard
        deviation of 30
        good: ``softmax(q @ k.transpose(-2, -1) / math.sqrt(width), -1)``; a head that copies the
        token before, in a model that does its task

    Source:
        Vaswani et al. 2017, Attention Is All You Need (scaled dot products); Zhai et al. 2023,
        Stabilizing Transformer Training by Preventing Attention Entropy Collapse.
    """

    code = "P704"
    name = "attention-entropy-collapse"
    signals = (
        "attention.entropy",
        "attention.scale",
        "attention.top",
        "attention.keys",
        "attention.across",
        "attention.twice",
    )

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        places = [where for where in trace.places("attention.entropy") if _is_told(trace, where)]
        twice = [where for where in places if takes_weights(trace, where)]
        places = [where for where in places if where not in twice]
        across = [where for where in places if takes_another_axis(trace, where)]
        sharp = [where for where in places if where not in across and _is_sharp(trace, where)]
        flat = [w for w in places if w not in across and w not in sharp and _is_flat(trace, w)]
        born = [] if across else places
        if not all(_begins_sharp(trace, where) for where in born):
            born = []
        if not (twice or across or sharp or flat or born):
            return
        for where in twice[:_MOST_TOLD]:
            harmed = _progress.leaves(trace, metric, _progress.NEARLY)
            yield self._symptom(trace, where, 0.9 if harmed else 0.3, _TWICE)
        harm = (across or sharp) and _harm.suffers(trace, metric)
        sharp.sort(key=lambda where: _late(trace, where, "entropy") or 0.0)
        for where in across[:_MOST_TOLD]:
            yield self._symptom(trace, where, 0.9 if harm else 0.3, _ACROSS)
        least = 0.6 if born and _progress.leaves(trace, metric, _progress.FAR) else 0.3
        for where in sharp[:_MOST_TOLD]:
            lost = 1 - (_late(trace, where, "entropy") or 0.0) / _SHARP
            yield self._symptom(trace, where, 0.6 + 0.4 * lost if harm else least, _ONE_HOT)
        for where in [where for where in born if where not in sharp][:_MOST_TOLD]:
            yield self._symptom(trace, where, least, _BORN)
        for where in flat[:_MOST_TOLD]:
            yield self._symptom(trace, where, 0.3, _UNIFORM)

    def _symptom(self, trace: Trace, where: str, severity: float, text: str) -> Symptom:
        numbers = {
            name: value
            for name in ("entropy", "scale", "top", "keys")
            if (value := _late(trace, where, name)) is not None
        }
        info = trace.attentions[where]
        first = trace.signal("train", where, "attention.scale").finite.values
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=where,
            source=info.source,
            evidence=numbers | ({"first_scale": first[0]} if first else {}),
            message=f"attention at {where} ({info.call}) " + text.format(**numbers),
        )


_ONE_HOT = (
    "looks at one key: its largest of {keys:.0f} weights is {top:.2f}, its entropy {entropy:.1%} "
    "of that of equal weights; the scores have a standard deviation of {scale:.3g}"
)
_BORN = (
    "looks at few keys from the first step on, when nothing was learned yet, and still: the "
    "largest of its {keys:.0f} weights is {top:.2f}, its entropy {entropy:.1%} of that of equal "
    "weights; the scores have a standard deviation of {scale:.3g}"
)
_UNIFORM = "gives all of {keys:.0f} keys the same weight: scores spread by {scale:.2g}"
_ACROSS = "takes the softmax along another axis than the one that the product with values sums over"
_TWICE = (
    "takes the softmax of what is a softmax's result already: the largest of {keys:.0f} weights is "
    "{top:.2f}; apply it once"
)


def takes_weights(trace: Trace, where: str) -> bool:
    """Whether the softmax of an attention is given what is a softmax's result already."""
    return _always(trace, where, "twice")


def takes_another_axis(trace: Trace, where: str) -> bool:
    """Whether the softmax of an attention runs along another axis than the product sums over."""
    return _always(trace, where, "across")


def _is_told(trace: Trace, where: str) -> bool:
    keys = _late(trace, where, "keys")
    return where in trace.attentions and keys is not None and keys >= _FEWEST_KEYS


def _always(trace: Trace, where: str, name: str) -> bool:
    values = trace.signal("train", where, f"attention.{name}").finite.values
    return bool(values) and min(values) == 1.0


def _is_sharp(trace: Trace, where: str) -> bool:
    late = _window(trace, where, "entropy")
    scale = _late(trace, where, "scale")
    if scale is None or scale <= _LARGE:
        return False
    return sum(value < _SHARP for value in late) >= _PERSISTS * len(late)


def _begins_sharp(trace: Trace, where: str) -> bool:
    entropy = trace.signal("train", where, "attention.entropy").finite.values
    scale = trace.signal("train", where, "attention.scale").finite.values
    return bool(entropy and scale) and entropy[0] < 2 * _SHARP and scale[0] > _LARGE


def _is_flat(trace: Trace, where: str) -> bool:
    entropy, scale = _late(trace, where, "entropy"), _late(trace, where, "scale")
    return entropy is not None and scale is not None and entropy > _FLAT and 0 < scale < _TINY


def _window(trace: Trace, where: str, name: str) -> list[float]:
    series = trace.signal("train", where, f"attention.{name}")
    return _series.window(series, trace.steps, 0.5, 1.0)


def _late(trace: Trace, where: str, name: str) -> float | None:
    late = _window(trace, where, name)
    return _series.middle(late) if len(late) >= _FEWEST_POINTS else None
