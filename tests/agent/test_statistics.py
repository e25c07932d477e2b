"""Whether a comparison convinces exactly when there is an effect."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from agent.statistics import compare
from probes.objective import Objective

ACCURACY = Objective(name="val_acc", mode="max")
LOSS = Objective(name="val_loss", mode="min")
REWARD = Objective(name="reward", mode="max")


def by_seed(values):
    return {seed: float(value) for seed, value in enumerate(values, start=1)}


def numbers(comparison):
    return [comparison.effect, *comparison.ci, comparison.p_value, comparison.noise, comparison.bar]


def test_agrees_with_scipy():
    control, treated = [0.51, 0.55, 0.49, 0.53], [0.70, 0.61, 0.66, 0.73]
    comparison = compare(ACCURACY, by_seed(control), by_seed(treated))
    reference = stats.ttest_rel(treated, control, alternative="greater")
    both_sides = stats.ttest_rel(treated, control)
    assert comparison.p_value == pytest.approx(reference.pvalue)
    assert comparison.ci == pytest.approx(tuple(both_sides.confidence_interval(0.95)))
    assert comparison.effect == pytest.approx(np.mean(treated) - np.mean(control))
    assert comparison.noise == pytest.approx(np.std(control, ddof=1))


def test_gain_is_positive_when_a_loss_falls():
    comparison = compare(LOSS, by_seed([2.0, 2.1, 2.2]), by_seed([0.5, 0.4, 0.6]))
    assert comparison.effect == pytest.approx((2.0 * 2.1 * 2.2) ** (1 / 3) - 0.12 ** (1 / 3))
    assert comparison.convincing
    assert not compare(LOSS, comparison.treated, comparison.control).convincing


def test_a_coefficient_of_determination_is_compared_by_its_loss():
    r2 = Objective(name="val_r2", mode="max")
    control, treated = [-914.5, -254.4, -470.3], [0.924, 0.93, 0.915]
    cured = compare(r2, by_seed(control), by_seed(treated))
    loss = compare(LOSS, *(by_seed([1 - value for value in each]) for each in (control, treated)))
    assert cured.convincing and numbers(cured) == pytest.approx(numbers(loss))
    assert not compare(r2, by_seed(treated), by_seed(control)).convincing
    assert not compare(r2, by_seed([-9.0, -80.0, -3.0]), by_seed([-7.0, -4.0, -2.0])).convincing


def test_what_falls_below_zero_and_has_no_best_value_is_compared_as_it_is():
    control, treated = [-914.5, -254.4, -470.3], [0.924, 0.93, 0.915]
    comparison = compare(REWARD, by_seed(control), by_seed(treated))
    assert comparison.effect == pytest.approx(np.mean(treated) - np.mean(control))
    assert not comparison.convincing


def test_only_common_seeds_are_paired():
    comparison = compare(LOSS, {1: 2.0, 2: 2.0, 9: 5.0}, {1: 1.0, 2: 1.0, 7: 0.0})
    assert comparison.gains == {1: 1.0, 2: 1.0}
    with pytest.raises(ValueError, match="no seed in common"):
        compare(LOSS, {1: 2.0}, {2: 1.0})


def test_one_pair_never_convinces():
    comparison = compare(LOSS, {1: 2.0}, {1: 0.1})
    assert comparison.every_pair_improves
    assert not comparison.convincing
    assert comparison.p_value == 1.0


@pytest.mark.parametrize("pairs", [2, 3, 5])
def test_equal_gains_have_finite_statistics(pairs):
    better = compare(LOSS, by_seed([2.0] * pairs), by_seed([1.0] * pairs))
    assert (better.p_value, better.ci) == (0.0, (1.0, 1.0))
    assert better.convincing
    same = compare(LOSS, by_seed([2.0] * pairs), by_seed([2.0] * pairs))
    assert (same.p_value, same.effect) == (1.0, 0.0)
    assert not same.convincing


def test_a_tiny_gain_is_no_recovery_though_it_is_the_same_on_every_seed():
    control = by_seed([2.0, 2.0, 2.0])
    assert not compare(LOSS, control, by_seed([1.99, 1.99, 1.99])).convincing
    assert compare(LOSS, control, by_seed([1.95, 1.95, 1.95])).convincing


def test_what_is_left_of_an_accuracy_is_its_scale():
    for factor in (1, 100):  # shares and percentages
        control = by_seed(factor * value for value in (0.990, 0.990, 0.9901))
        treated = by_seed(factor * value for value in (0.995, 0.995, 0.9949))
        assert compare(ACCURACY, control, treated).convincing


def test_one_pair_within_the_noise_is_enough_to_refuse():
    control = by_seed([0.50, 0.54, 0.58])
    assert compare(ACCURACY, control, by_seed([0.80, 0.84, 0.88])).convincing
    spoiled = compare(ACCURACY, control, by_seed([0.80, 0.84, 0.61]))
    assert spoiled.every_pair_improves
    assert not spoiled.convincing


class TestDivergedRuns:
    @pytest.mark.parametrize("broken", [math.nan, math.inf, LOSS.worst])
    def test_curing_a_divergence_convinces(self, broken):
        cured = compare(LOSS, by_seed([broken] * 3), by_seed([0.30, 0.32, 0.29]))
        assert cured.convincing
        assert cured.broken_before == (1, 2, 3)
        assert "diverged ->" in cured.sentence
        assert all(math.isfinite(number) and abs(number) < 10 for number in numbers(cured))

    def test_one_diverged_control_does_not_drown_the_others(self):
        cured = compare(LOSS, by_seed([LOSS.worst, 2.2, 2.3]), by_seed([0.30, 0.32, 0.29]))
        assert cured.convincing
        assert cured.effect == pytest.approx(1.96, abs=0.01)

    def test_a_diverged_treated_run_never_convinces(self):
        for treated in ([0.3, 0.3, math.nan], [math.nan] * 3):
            for control in ([2.0, 2.1, 2.2], [math.nan] * 3, [2.0, 2.1, math.nan]):
                comparison = compare(LOSS, by_seed(control), by_seed(treated))
                assert not comparison.convincing
                assert all(map(math.isfinite, numbers(comparison)))

    def test_accuracies_diverge_to_zero(self):
        cured = compare(ACCURACY, by_seed([ACCURACY.worst] * 3), by_seed([0.9, 0.91, 0.92]))
        assert cured.convincing
        assert 0.8 < cured.effect <= 0.92


def test_numbers_survive_json():
    comparison = compare(LOSS, by_seed([2.0, 2.0]), by_seed([1.0, 1.5]))
    fields = asdict(comparison) | {"objective": None}
    assert json.loads(json.dumps(fields, allow_nan=False))["effect"] == comparison.effect
    assert "\n" not in comparison.sentence


def share_convincing(draw, pairs, shift=0.0, experiments=1500, rivals=1):
    hits = 0
    for _ in range(experiments):
        control, treated = draw(pairs), draw(pairs) + shift
        hits += compare(REWARD, by_seed(10 + control), by_seed(10 + treated), rivals).convincing
    return hits / experiments


NOISE = {
    "normal": lambda random: random.standard_normal,
    "heavy-tailed": lambda random: lambda n: random.standard_t(3, n),
    "skewed": lambda random: lambda n: np.exp(random.standard_normal(n)),
    "bimodal": lambda random: (
        lambda n: 5.0 * (random.random(n) < 0.5) + 0.3 * random.standard_normal(n)
    ),
}


@pytest.mark.parametrize("noise", NOISE)
def test_without_an_effect_at_most_two_in_a_hundred_convince(noise):
    draw = NOISE[noise](np.random.default_rng(0))
    assert share_convincing(draw, pairs=3) <= 0.02


def test_choosing_the_best_of_ten_candidates_does_not_help_on_fresh_seeds():
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(1500):
        effects = np.zeros(10)
        chosen = int(np.argmax(effects + random.standard_normal(10)))
        treated = 10 + effects[chosen] + random.standard_normal(3)
        control = 10 + random.standard_normal(3)
        hits += compare(REWARD, by_seed(control), by_seed(treated)).convincing
    assert hits / 1500 <= 0.015


def test_a_large_effect_convinces():
    draw = np.random.default_rng(2).standard_normal
    assert share_convincing(draw, pairs=3, shift=10.0, experiments=1000) >= 0.995
    assert share_convincing(draw, pairs=3, shift=7.0, experiments=1000) >= 0.96
    assert share_convincing(draw, pairs=5, shift=5.0, experiments=1000) >= 0.88


def test_more_rivals_make_it_stricter():
    control, treated = by_seed([10.0, 10.5, 11.0]), by_seed([14.0, 13.0, 14.5])
    assert compare(REWARD, control, treated).convincing
    assert not compare(REWARD, control, treated, rivals=10).convincing


def test_with_five_pairs_no_single_one_has_to_exceed_the_bar():
    control = by_seed([8.2, 6.5, 4.6, 6.0, 7.0])
    cured = compare(REWARD, control, by_seed([9.5, 9.51, 9.52, 9.5, 9.49]), rivals=2)
    assert not cured.every_pair_improves_beyond_noise
    assert cured.convincing
    assert not compare(REWARD, control, by_seed([9.5, 9.5, 9.5, 9.5, 6.9]), rivals=2).convincing
    assert not compare(REWARD, control, by_seed([9.0, 7.3, 5.4, 6.8, 7.8]), rivals=2).convincing


def test_a_cure_of_what_fails_at_some_seeds_convinces():
    control = by_seed([9.3, 9.4, 1.8, 1.7, 9.2])
    cured = compare(REWARD, control, by_seed([9.9, 9.8, 9.9, 9.7, 9.9]), rivals=2)
    assert cured.effect < cured.bar
    assert cured.convincing
    assert "all treated are better than all untreated" in cured.sentence
    assert not compare(REWARD, control, by_seed([9.9, 9.8, 9.9, 9.3, 9.9]), rivals=2).convincing
    assert not compare(REWARD, control, by_seed([9.9, 9.8, 9.9, 9.7, 9.9]), rivals=3).convincing
    first = {seed: control[seed] for seed in list(control)[:3]}
    assert not compare(REWARD, first, by_seed([9.9, 9.8, 9.9])).convincing


def test_all_that_is_apart_by_next_to_nothing_is_no_cure():
    control, treated = (
        by_seed([9.0, 9.01, 9.02, 9.0, 9.01]),
        by_seed([9.05, 9.04, 9.05, 9.06, 9.05]),
    )
    assert not compare(REWARD, control, treated).convincing


@pytest.mark.parametrize("noise", NOISE)
def test_without_an_effect_five_pairs_hardly_ever_convince(noise):
    draw = NOISE[noise](np.random.default_rng(3))
    assert share_convincing(draw, pairs=5, rivals=2) <= 0.01


def test_losses_are_compared_by_their_ratios():
    control, treated = by_seed([6.2, 4.6, 16.2]), by_seed([0.1, 0.11, 0.09])
    cured = compare(LOSS, control, treated)
    assert cured.convincing and cured.p_value < 0.01
    assert 0 < cured.ci[0] < cured.effect < cured.ci[1] < 16.2
    assert cured.gains[3] == pytest.approx(16.11)
    a_little = compare(LOSS, control, by_seed([5.9, 4.2, 12.0]))
    assert a_little.every_pair_improves and not a_little.convincing
    below_zero = compare(LOSS, by_seed([0.2, -0.1, 0.3]), by_seed([-5.0, -5.1, -5.2]))
    assert below_zero.convincing
