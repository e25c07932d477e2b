"""P906: the held-out metric is computed on samples that the model is trained on."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _series, _words
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_SHARED = 0.3
_DISJOINT = 0.1
_FEWEST = 2


class Leakage(Probe):
    """The held-out metric is computed on samples that the model is trained on.

    What it detects:
        A validation set that is part of the training set, two splits that overlap, copies of
        samples that were made before the split.

    Why it harms:
        What the metric tells is how well the model remembers. It looks fine while the model is not,
        and the best epoch and the best settings are chosen for memory.

    Rule:
        Samples are recognised by a fingerprint of all that a forward pass is given. In every
        evaluation of the second half of the run, two at least, three in ten of the samples or more
        are trained on, in the median and in all groups of passes but for one tenth; as only the
        training samples of probed steps are known, their number is made up for. Where some of the
        passes have nothing to do with training, the others are a metric of training beside a
        held-out one, and nothing is reported. Severity 0.5 to 0.9 with the share where a metric
        that is reported twice or more is called one of validation or test; a script that calls it
        otherwise may mean training: 0.3.
        Samples of fewer than four numbers and those that come again within one pass may be the same
        by chance, and are left alone.

    Example:
        bad: ``val = Subset(data, order[:200])`` and ``train = data``
        good: ``val, train = Subset(data, order[:200]), Subset(data, order[200:])``

    Source:
        Kapoor and Narayanan 2023, Leakage and the reproducibility crisis in machine-learning-based
        science, section on no train-test split and duplicates.
    """

    code = "P906"
    name = "leakage"
    signals = ("samples.shared",)
    advice_only = True

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        found: dict[int, list[float]] = {}
        lines: dict[str, float] = {}
        for line in trace.places("samples.shared", "eval"):
            series = trace.signal("eval", line, "samples.shared").finite
            for step, share in series:
                found.setdefault(step, []).append(share)
            lines[line] = _series.middle(series.values) or 0.0
        late = [groups for step, groups in found.items() if step >= trace.steps / 2]
        shares = [_series.middle(groups) or 0.0 for groups in late if _all_shared(groups)]
        if len(shares) < _FEWEST or len(shares) < len(late):
            return
        share = min(1.0, _series.middle(shares) or 0.0)
        line = max(lines, key=lambda line: lines[line])
        roots = [info.where for info in trace.modules.values() if info.parent is None]
        yield Symptom(
            code=self.code,
            name=self.name,
            severity=ALARM + 0.4 * share if _is_held_out(trace, metric) else 0.3,
            where=roots[0] if roots else "",
            source=line or None,
            step=min(found),
            evidence={"shared": share, "evaluations": float(len(found))},
            message=(
                f"of the samples that are evaluated at {line}, about {share:.0%} are trained on, "
                "too, and no others are: what is reported is how well they are remembered; split "
                "the data once, before copies are made, and train on the one part only"
            ),
        )


def _is_held_out(trace: Trace, metric: Objective | None) -> bool:
    if metric is None or not _words.tokens(metric.name) & _words.HELD_OUT:
        return False
    return len(metric.series(trace)) >= _FEWEST


def _all_shared(groups: list[float]) -> bool:
    """Whether the samples of an evaluation are trained on, in nearly all groups of passes."""
    own = sum(share < _DISJOINT for share in groups)
    return own <= 0.1 * len(groups) and (_series.middle(groups) or 0.0) >= _SHARED
