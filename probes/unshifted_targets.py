"""P909: a model of sequences is to predict the very tokens that it is given."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _progress, _series, _tokens
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace


class UnshiftedTargets(Probe):
    """A model of sequences is to predict the very tokens that it is given.

    What it detects:
        A language model, or the decoder of a translation, whose labels are the tokens that it gets
        at the same places, not those behind them.

    Why it harms:
        To copy its input is all that it learns: the loss falls to nothing, and what it is asked to
        write afterwards repeats its first token.

    Rule:
        In four of five probed steps, three at least, 99 % of the labels of a loss (those ignored
        left out) are the token that an embedding was asked for at their place, and less than 90 %
        are the one behind it. That is what an autoencoder is trained on, too. It is an alarm (0.9)
        where the training loss has a fifth or less of its beginning left, and the metric more than
        a fifth of its range; else an observation (0.3).

    Example:
        bad: ``loss(model(tokens[:, :-1]), tokens[:, :-1])``
        good: ``loss(model(tokens[:, :-1]), tokens[:, 1:])``

    Source:
        Williams and Zipser 1989, A Learning Algorithm for Continually Running Fully Recurrent
        Neural Networks, on teacher forcing; Humbatova et al. 2020, Taxonomy of Real Faults in Deep
        Learning Systems (wrong labels).
    """

    code = "P909"
    name = "unshifted-targets"
    signals = ("tokens.copied", "tokens.shifted", "loss.value")

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for line in trace.places("tokens.copied"):
            if not _tokens.are_labels(trace, line, "copied", "shifted"):
                continue
            copied = trace.signal("train", line, "tokens.copied").finite
            behind = _tokens.middle(trace, line, "tokens.shifted")
            harmed = _fell(trace) and _progress.leaves(trace, metric, _progress.FAR)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.9 if metric is not None and harmed else 0.3,
                where="loss",
                source=line,
                step=copied.steps[0],
                evidence={"copied": copied.values[-1], "shifted": behind},
                message=(
                    f"the labels at {line} are the tokens that the model is given at the same "
                    "places: it learns to copy, not what comes next"
                ),
            )


def _fell(trace: Trace) -> bool:
    """Whether the training loss fell to next to nothing."""
    losses = trace.signal("train", "loss", "loss.value").finite
    late = _series.middle(_series.window(losses, trace.steps, 0.75, 1.0))
    return bool(losses.values) and late is not None and late <= _progress.FAR * losses.values[0]
