"""P401: noise on a representation is so strong that the task does not get through."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _channel, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import ALARM, Symptom
from probes.trace import Trace


class StochasticBottleneck(Probe):
    """Noise on a representation is so strong that the task does not get through.

    What it detects:
        A place in the model where fresh noise is added to activations at every training step (the
        sampling of a variational encoder, say) and outweighs how they differ between samples.

    Why it harms:
        The same input has another representation each time. What reads it cannot learn a stable
        mapping from it, least of all where each input has exactly one right answer.

    Rule:
        Read as parallel Gaussian channels, the dimensions carry fewer bits than it takes to tell
        the samples of one batch apart, or even the clearest dimension has more noise than signal,
        in the median over the second half of the run. That alone is an observation (severity 0.3):
        policies and regularised codes are made so. It is an alarm when the metric went less than a
        quarter of its way since its first report, with more than a third still to go, and the loss
        of the task fell by less than a third since the first steps. Severity then rises from 0.5
        to 1 as the capacity goes from the bits that are needed to none.
        Noise that multiplies (dropout), on inputs, or on parameters is another matter, and a code
        that carries nothing at all next to a vanished KL term is P402.

    Example:
        bad: ``return mean + eps * std`` with the KL term of a VAE at a weight that keeps std at 1
        good: ``return mean``, or a KL weight at which the mean stands out

    Source:
        Shannon 1948 for the capacity; Alemi et al. 2017, Deep Variational Information Bottleneck;
        the investigation of a variational encoder with an exact match of 0 % on a deterministic
        task.
    """

    code = "P401"
    name = "stochastic-bottleneck"
    signals = _channel.SIGNALS

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        suffers = _channel.suffers(trace, metric)
        for channel in _channel.channels(trace):
            if not channel.drowned or (channel.silent and _channel.vanished(trace)):
                continue
            missing = 1 - channel.capacity / channel.needed if channel.needed else 0.0
            message = (
                f"noise is added at {channel.where} in every training step, {channel.ratio:.3g} "
                f"times the spread of what it is added to; at most {channel.capacity:.2g} bits get "
                f"through, where {channel.needed:.2g} tell the samples of a batch apart"
            )
            numbers, course = _channel.told(trace, metric) if suffers else ({}, "")
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=ALARM + 0.5 * min(1.0, max(0.0, missing)) if suffers else 0.3,
                where=channel.where,
                source=channel.source,
                step=_series.first_step(trace.signal("train", channel.where, "noise.ratio"), 1.0),
                evidence=channel.evidence | numbers,
                message=message + course + channel.evaluation,
            )
