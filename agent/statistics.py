"""Whether a treatment beats the control: paired seeds, the gain of each pair, and how sure it is.

Three pairs are few, so one test is not enough. A treatment convinces when

* every pair gains more than the *bar*: what the seed noise may be at most. Three controls alone
  often agree by chance, so the noise is pooled over both arms and its upper 95 % confidence bound
  is taken: 2.4 times the estimate with three pairs, 4.4 times with two, 1.7 times with five;
* the one-sided paired t-test is below 5 %, which keeps out pairs that gain very unevenly;
* the gain matters: the bar is at least the standard deviation of the control, and at least 1 % of
  the metric. Where seeds hardly change the outcome, pairs are no replicates, and a change
  without any sense may gain a little in all of them at once.

Null experiments (no effect; ten candidates searched, the best confirmed on three fresh seeds)
convince in 0.7 % with normal noise, and in at most 1.6 % where the noise is heavy-tailed, skewed
or bimodal, or where the treatment changes only the noise. An effect of ten standard deviations
convinces in 99.98 %, of seven in 98 %, of five in 84 %. With two pairs those are 1.3 %, 6.3 %
(bimodal) and 88 %, 69 %, 47 %; with five 0.06 %, 0.2 % and 100 %, 99.7 %, 92 %. Trying one
treatment after another adds up: ``rivals`` makes each next one stricter (three: 1.3 %, not 1.9 %).

From five pairs on the t-test carries more: there a fifth of its level will do with every pair
better at all and the mean beyond the bar. Or every treated run is better than every untreated one,
of all pairs: without an effect that comes once in 252 times with five (Wilcoxon's rank sum). A
script that trains at one seed and fails at another is so noisy that nothing can gain more than the
noise: one of a half that fails, cured, convinces in all of 3,000 experiments then, and in 24 % by
the bar. Null experiments do in up to 0.3 % more, and in 1.1 % more where the treatment changes only
the noise.

Where all of three pairs are better but do not convince, two more are run (see `agent.confirm`), as
a rival of their own: a cure of a script whose outcome varies with the seed (2.5 standard
deviations, treated runs alike) convinces in 82 % then instead of 59 %, one of five in 98 %; null
experiments in 0.2 % more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from agent.scale import Scale, broken, made_finite
from probes.objective import Objective

ALPHA = 0.05
"""Below it, the paired t-test says that there is an improvement."""
NOISE_DOUBT = 0.05
"""How often the seed noise is larger than the bar assumes."""
MANY_PAIRS = 5
"""From here on no single pair has to exceed the bar."""


@dataclass(frozen=True)
class PairedComparison:
    """Treated against untreated runs, seed by seed. Use `compare` to make one.

    All numbers are finite. A run that diverged counts as the worst real run there is; when all
    untreated runs diverged, as clearly worse than any treated one.

    Attributes:
        objective: The metric.
        control: Untreated values by seed, as they were measured.
        treated: Treated values by seed, as they were measured.
        gains: Improvement by seed, in units of the metric; positive is better.
        effect: Mean gain; of ratios, the difference of the geometric means.
        ci: 95 % interval of the effect (Student's t over the pairs).
        p_value: One-sided paired t-test of no improvement.
        noise: Standard deviation of the untreated values.
        bar: What a pair must gain: the most that seed noise alone may be.
        clear: Seeds that gain more than that.
        apart: Whether each treated run is better than all untreated ones, and the gain matters.
        alpha: What the p-value must be below.
        broken_before: Seeds whose untreated run diverged or has no value.
        broken_after: Seeds whose treated run diverged or has no value.
    """

    objective: Objective
    control: dict[int, float]
    treated: dict[int, float]
    gains: dict[int, float]
    effect: float
    ci: tuple[float, float]
    p_value: float
    noise: float
    bar: float
    clear: tuple[int, ...]
    apart: bool
    alpha: float
    broken_before: tuple[int, ...]
    broken_after: tuple[int, ...]

    @property
    def every_pair_improves(self) -> bool:
        """Whether the treated run is better for each seed."""
        return min(self.gains.values()) > 0

    @property
    def every_pair_improves_beyond_noise(self) -> bool:
        """Whether each pair gains more than the bar; a treated run that diverged gains nothing."""
        return set(self.clear) == set(self.gains)

    @property
    def convincing(self) -> bool:
        """Whether the improvement is proven: beyond noise in every pair, and significant."""
        pairs, level = len(self.gains), self.alpha / 5
        if pairs >= MANY_PAIRS and self.apart and 1 / math.comb(2 * pairs, pairs) <= level:
            return True
        if pairs >= MANY_PAIRS and self.p_value <= level:
            return self.every_pair_improves and self.effect > self.bar
        enough = len(self.gains) >= 2 and self.p_value <= self.alpha
        return enough and self.every_pair_improves_beyond_noise

    @property
    def sentence(self) -> str:
        """The comparison in one line."""
        before = _level(self.objective, self.control, self.broken_before)
        after = _level(self.objective, self.treated, self.broken_after)
        better = sum(gain > 0 for gain in self.gains.values())
        apart = self.convincing and self.apart and self.effect <= self.bar
        why = "all treated are better than all untreated" if apart else ""
        return (
            f"{self.objective.name} {before} -> {after}, better on {better} of {len(self.gains)} "
            f"seeds: {self.effect:+.3g} (95% CI {self.ci[0]:.3g} to {self.ci[1]:.3g}, "
            f"p = {self.p_value:.2g}; {why or f'a seed had to gain {self.bar:.2g}'})"
        )


def compare(
    objective: Objective,
    control: Mapping[int, float],
    treated: Mapping[int, float],
    rivals: int = 1,
) -> PairedComparison:
    """Compare the runs of the seeds that both sides have.

    Args:
        objective: The metric.
        control: Untreated values by seed.
        treated: Treated values by seed.
        rivals: Treatments of this diagnosis that were put to the confirmation so far, this one
            included: the more chances, the stricter each next one.

    Raises:
        ValueError: There is no common seed.

    >>> accuracy = Objective(name="val_acc", mode="max")
    >>> cured = compare(accuracy, {1: 0.50, 2: 0.52, 3: 0.51}, {1: 0.90, 2: 0.91, 3: 0.93})
    >>> cured.convincing, round(cured.effect, 3), round(cured.noise, 3), round(cured.bar, 3)
    (True, 0.403, 0.01, 0.031)
    >>> print(cured.sentence)  # doctest: +ELLIPSIS
    val_acc 0.51 -> 0.913, better on 3 of 3 seeds: +0.403 (95% CI 0.365 to 0.441, p = 0.00024; ...
    >>> compare(accuracy, {1: 0.50, 2: 0.56, 3: 0.53}, {1: 0.55, 2: 0.60, 3: 0.55}).convincing
    False
    """
    seeds = sorted(set(control) & set(treated))
    if not seeds:
        raise ValueError("the control and the treated runs have no seed in common")
    raw_before = {seed: control[seed] for seed in seeds}
    raw_after = {seed: treated[seed] for seed in seeds}
    before, after = made_finite(objective, raw_before, raw_after)
    scale = Scale.of(objective, before, after)
    levels = {seed: scale.level(objective, value) for seed, value in before.items()}
    reached = {seed: scale.level(objective, value) for seed, value in after.items()}
    differences = {seed: objective.gain(levels[seed], reached[seed]) for seed in seeds}
    ci, p_value = _student(list(differences.values()), _resolution(levels, reached))
    bar = _bar(scale.least, levels, reached, rivals)
    matters = fmean(differences.values()) > scale.least
    return PairedComparison(
        objective=objective,
        control=raw_before,
        treated=raw_after,
        gains={seed: objective.gain(before[seed], after[seed]) for seed in seeds},
        effect=scale.gain(fmean(differences.values())),
        ci=(scale.gain(ci[0]), scale.gain(ci[1])),
        p_value=p_value,
        noise=_spread(before),
        bar=scale.gain(bar),
        clear=tuple(seed for seed, difference in differences.items() if difference > bar),
        apart=matters
        and all(
            objective.gain(level, value) > 0
            for level in levels.values()
            for value in reached.values()
        ),
        alpha=ALPHA / max(1, rivals),
        broken_before=broken(objective, raw_before),
        broken_after=broken(objective, raw_after),
    )


def _student(gains: list[float], resolution: float) -> tuple[tuple[float, float], float]:
    """95 % interval of the mean, and the one-sided p-value of the mean not being positive."""
    effect = fmean(gains)
    if len(gains) < 2:
        return (effect, effect), 1.0
    from scipy.special import stdtr, stdtrit  # half a second: not at the start

    degrees = len(gains) - 1
    error = stdev(gains) / math.sqrt(len(gains))
    if error <= resolution:  # equal gains: the t-test divides by zero, its limit does not
        return (effect - error, effect + error), 0.0 if effect > resolution else 1.0
    half = float(stdtrit(degrees, 0.975)) * error
    return (effect - half, effect + half), float(stdtr(degrees, -effect / error))


def _bar(least: float, before: dict[int, float], after: dict[int, float], rivals: int) -> float:
    """The most that the seed noise may be, from the spread in both arms."""
    degrees = 2 * (len(before) - 1)
    if not degrees:
        return least
    from scipy.special import chdtri

    pooled = math.hypot(_spread(before), _spread(after)) / math.sqrt(2)
    quantile = float(chdtri(degrees, 1 - NOISE_DOUBT / max(1, rivals)))
    return max(least, _spread(before), pooled * math.sqrt(degrees / quantile))


def _resolution(before: dict[int, float], after: dict[int, float]) -> float:
    """Differences up to this are rounding."""
    return 1e-12 * max(map(abs, [*before.values(), *after.values()]))


def _spread(values: dict[int, float]) -> float:
    return stdev(values.values()) if len(values) > 1 else 0.0


def _level(objective: Objective, values: dict[int, float], broken: tuple[int, ...]) -> str:
    real = [value for seed, value in values.items() if seed not in broken]
    if not real:
        return "diverged"
    lost = f" ({len(broken)} diverged)" if broken else ""
    return f"{fmean(real):.3g}{lost}"
