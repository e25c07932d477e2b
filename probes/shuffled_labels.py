"""P809: the same samples have other labels from epoch to epoch."""

from __future__ import annotations

from collections.abc import Iterable

from probes import _knowledge, _places, _series
from probes.base import Probe
from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace

_AT_RANDOM = 0.7
_RECURRING = 0.8
_FEWEST_ROWS = 50
_FEWEST_POINTS = 3
_KNOWS_NOTHING = 0.85


class ShuffledLabels(Probe):
    """The same samples have other labels from epoch to epoch, and nothing is learned.

    What it detects:
        Inputs and labels that are shuffled apart: two loaders that both shuffle, two permutations,
        a list that is sorted without the other one.

    Why it harms:
        The labels say nothing about the inputs. All that can be learned is how common each label
        is, at any learning rate.

    Rule:
        Samples are recognised by a fingerprint. Of those that come again (50 at least, in three
        probed steps or more), in the median 0.7 times as many have another label than before as
        would if labels were dealt at random; the labels themselves come again, too (four of five),
        which the moving targets of reinforcement learning or a teacher do not; and training knows
        nothing: its loss is no better than 0.85 of what the mean or the shares of the labels give,
        and no factor on the logits takes it to half of that (see P705).
        Batches that have a sample twice (words, states of a grid) are left alone. Labels that do
        not fit, but stay the same, cannot be told from hard ones. Severity 0.95.

    Example:
        bad: ``x[torch.randperm(n)], y[torch.randperm(n)]``
        good: ``order = torch.randperm(n); x[order], y[order]``

    Source:
        Zhang et al. 2017, Understanding deep learning requires rethinking generalization (random
        labels); the fingerprints are a plain proof.
    """

    code = "P809"
    name = "shuffled-labels"
    signals = ("pairs.revisited", "pairs.changed", "pairs.expected", "pairs.recurring")
    advice_only = True

    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """See `Probe.read`."""
        for key in trace.places("pairs.changed"):
            changed = trace.signal("train", key, "pairs.changed").finite
            seen = sum(trace.signal("train", key, "pairs.revisited").finite.values)
            if len(changed) < _FEWEST_POINTS or seen < _FEWEST_ROWS:
                continue
            share = _series.middle(changed.values) or 0.0
            random = _middle(trace, key, "pairs.expected")
            if not random or share < _AT_RANDOM * random:
                continue
            unknown = _knowledge.ignorance(trace)
            if _middle(trace, key, "pairs.recurring") < _RECURRING or unknown is None:
                continue
            loss, _, made = (*key.split("|"), "", "")[:3]
            learned = unknown < _KNOWS_NOTHING or _knowledge.in_order(trace, loss)
            yield Symptom(
                code=self.code,
                name=self.name,
                severity=0.3 if learned else 0.95,
                where=_places.term_at(trace, loss),
                source=(key.split("|")[-1] or loss) if ":" in key else None,
                step=changed.steps[0],
                evidence={"changed": share, "at_random": random, "revisited": seen},
                message=(
                    f"of the samples that come again, {share:.0%} have another label than before "
                    f"(labels dealt at random would change for {random:.0%}): inputs and labels "
                    "are shuffled apart; index both with one permutation, or load them from one "
                    f"data set{f' (labels are taken at {made})' if made else ''}"
                ),
            )


def _middle(trace: Trace, key: str, name: str) -> float:
    return _series.middle(trace.signal("train", key, name).finite.values) or 0.0
