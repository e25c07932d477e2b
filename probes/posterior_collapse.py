"""P402: a noisy code that carries nothing, and a KL term that has nothing left to penalise."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _channel, _knowledge, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace


class PosteriorCollapse(Probe):
    """A noisy code that carries nothing, and a KL term that has nothing left to penalise.

    What it detects:
        A variational code in which no dimension depends on the input any more, while the term that
        keeps it near its prior has gone to nothing: the decoder has learned to ignore the code.

    Why it harms:
        Whatever the decoder puts out is the same for all inputs, as far as the code is to tell.

    Rule:
        In the median over the second half of the run, even the clearest dimension has a variance
        over the samples below 1 % of the variance of its noise, and the loss terms that train only
        what comes before the noise make up less than 5 % of the loss. That alone is an observation
        (severity 0.3): a decoder may rightly do without. It is an alarm, of severity 1, when the
        run suffers as P401 says (the metric stands still far from its best, and the loss of the
        task fell by less than a third since the first steps), or when nothing of the targets is
        explained but their mean: for classes at the places of a sample, such as pixels, what is
        usual at each place.

    Example:
        bad: ``loss = F.cross_entropy(logits, target) + kl.sum(1).mean()``: a mean over all
        positions against a sum over all dimensions
        good: a KL weight that is small, or grows from 0

    Source:
        Bowman et al. 2016, Generating Sentences from a Continuous Space; Burda et al. 2016,
        Importance Weighted Autoencoders, for active units (variance over the data above 0.01).
    """

    code = "P402"
    name = "posterior-collapse"
    signals = _channel.SIGNALS

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        share = _channel.rate_share(trace)
        if share is None or not _channel.vanished(trace):
            return
        suffers = (
            _channel.suffers(trace, metric)
            or _knowledge.knows_nothing(trace)
            or _knowledge.same_for_all(trace)
        )
        for channel in _channel.channels(trace):
            if not channel.silent:
                continue
            terms = ", ".join(_channel.rate_terms(trace))
            message = (
                f"no dimension of the code at {channel.where} carries anything: the clearest of "
                f"{channel.dimensions:.0f} has a signal-to-noise ratio of {channel.best:.2g}, and "
                f"{terms} is {share:.2%} of the loss"
            )
            numbers, course = _channel.told(trace, metric) if suffers else ({}, "")
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=1.0 if suffers else 0.3,
                where=channel.where,
                source=channel.source,
                step=_series.first_step(trace.signal("train", channel.where, "noise.ratio"), 10.0),
                evidence=channel.evidence | numbers | {"rate_share": share},
                message=message + course + channel.evaluation,
            )
