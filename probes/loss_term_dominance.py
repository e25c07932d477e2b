"""P201: one loss term drowns the others, and the falling loss does not move the metric."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _progress, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace

_DOMINATES = 0.9
_STANDS_STILL = 0.1
_STARVED_SLOWER = 0.25
_FOLLOWS = 0.9
"""Correlation over ten reports or so that is surely (95 %) above that of unrelated curves."""
_UNRELATED = 0.4


class LossTermDominance(Probe):
    """One loss term drowns the others, and the falling loss does not move the metric.

    What it detects:
        A sum of loss terms of which one makes up nearly all of the gradient on the parameters that
        they share, while another term, and the metric with it, stands still.

    Why it harms:
        The total loss falls and looks like progress, but the parameters follow a term that is not
        what the run is judged by.

    Rule:
        In the median over the second half of the run one term has 90 % or more of the summed
        gradient norms on the shared parameters. That alone is an observation (severity 0.3): many
        healthy losses are made so. It is an alarm when the total loss fell by 10 % or more of its
        early value, another term fell by less than a tenth or less than a quarter as much, and the
        metric went less than a tenth of the way to its best possible value, with more than a fifth
        of the range still to go. Severity then rises from 0.5 at a share of 0.9 to 1.

    Example:
        bad: ``loss = 0.5 * mse + 0.5 * info_nce`` with mse near 0.002 and info_nce near 1.4
        good: ``loss = mse``, or a weight for info_nce that lets both gradients count

    Source:
        Chen et al. 2018, GradNorm; the investigation of a contrastive dominance (a ratio of 700,
        cosine similarity stuck at 0.27 while the total loss fell by a third).
    """

    code = "P201"
    name = "loss-term-dominance"
    signals = ("term.share", "term.value", "term.weight", "loss.value")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        terms = trace.places("term.share")
        shares = {where: self._middle(trace, where, "term.share") for where in terms}
        if len(shares) < 2:
            return
        dominant = max(shares, key=lambda where: shares[where])
        if shares[dominant] < _DOMINATES:
            return
        others = [where for where in terms if where != dominant and shares[where] > 0]
        if not others:
            return
        start = _progress.first_report(trace, metric)
        starved = min(others, key=lambda where: self._drop(trace, where, start))
        severity = 0.3
        stuck = metric is not None and _progress.metric_moved(trace, metric, _STANDS_STILL) is False
        followed = self._followed(trace, metric, dominant, others)
        if followed is not None:
            starved, stuck = followed, True
        if followed is not None or (stuck and self._starves(trace, starved, dominant, start)):
            severity = ALARM + 0.5 * (shares[dominant] - _DOMINATES) / (1 - _DOMINATES)
        yield self._symptom(trace, metric, dominant, starved, severity, stuck)

    def _starves(self, trace: Trace, starved: str, dominant: str, start: float) -> bool:
        loss = trace.signal("train", "loss", "loss.value")
        if (_series.relative_drop(loss, trace.steps, start) or 0.0) < _STANDS_STILL:
            return False
        drop = self._drop(trace, starved, start)
        return drop < max(_STANDS_STILL, _STARVED_SLOWER * self._drop(trace, dominant, start))

    def _followed(
        self, trace: Trace, metric: Objective | None, dominant: str, others: list[str]
    ) -> str | None:
        """The drowned term that the metric follows instead of the dominating one, if it does."""
        if metric is None or _progress.went_half_way(trace, metric):
            return None
        curve = metric.series(trace)
        # A term that rises while the metric gets better is not what the metric is about.
        better = -1 if metric.mode == "max" else 1
        alike = {
            where: better * _series.correlation(curve, trace.signal("train", where, "term.value"))
            for where in [dominant, *others]
        }
        closest = max(others, key=lambda where: alike[where])
        follows = alike[closest] >= _FOLLOWS and abs(alike[dominant]) < _UNRELATED
        return closest if follows else None

    def _drop(self, trace: Trace, where: str, start: float) -> float:
        series = trace.signal("train", where, "term.value")
        return _series.relative_drop(series, trace.steps, start) or 0.0

    def _middle(self, trace: Trace, where: str, name: str) -> float:
        return _series.second_half(trace.signal("train", where, name), trace.steps) or 0.0

    def _symptom(
        self,
        trace: Trace,
        metric: Objective | None,
        dominant: str,
        starved: str,
        severity: float,
        stuck: bool,
    ) -> Symptom:
        evidence = {}
        for role, where in (("dominant", dominant), ("starved", starved)):
            for key in ("value", "weight", "share"):
                evidence[f"{role}_{key}"] = self._middle(trace, where, f"term.{key}")
        pair = trace.signal("train", f"{dominant}|{starved}", "term.cosine") or trace.signal(
            "train", f"{starved}|{dominant}", "term.cosine"
        )
        evidence["cosine"] = _series.second_half(pair, trace.steps) or 0.0
        loss = trace.signal("train", "loss", "loss.value")
        start = _progress.first_report(trace, metric)
        evidence["loss_drop"] = _series.relative_drop(loss, trace.steps, start) or 0.0
        message = " and ".join(
            f"{where} (value {evidence[role + '_value']:.3g}, weight "
            f"{evidence[role + '_weight']:.3g}) has {evidence[role + '_share']:.1%} of the gradient"
            for role, where in (("dominant", dominant), ("starved", starved))
        )
        if metric is not None and stuck:
            curve = metric.series(trace).values
            evidence["metric_start"], evidence["metric_end"] = curve[0], metric.final(trace)
            message += (
                f"; the loss fell by {evidence['loss_drop']:.0%} while {metric.name} went from "
                f"{curve[0]:.3g} to {evidence['metric_end']:.3g}"
            )
        return Symptom(
            code=self.code,
            name=self.name,
            severity=severity,
            where=dominant,
            source=trace.terms[dominant].source if dominant in trace.terms else None,
            step=_series.first_step(trace.signal("train", dominant, "term.share"), _DOMINATES),
            evidence=evidence,
            message=message,
        )
