"""Figures of the metric: its curves with and without the fix, seed by seed, and all candidates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean
from typing import TYPE_CHECKING

from agent.diagnosis import Fix, Tried
from agent.page.canvas import (
    ACCENT,
    INK,
    MUTED,
    Picture,
    finish,
    label,
    logarithmic,
    new_figure,
    thinned,
    wants_logarithm,
)
from agent.page.evidence import Evidence
from agent.statistics import compare
from probes.objective import Objective
from probes.trace import Trace
from remedies.treatment import Treatment, describe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CANDIDATES = 24
_BROKEN = 1e11  # Objective.worst is beyond it: a run without a value


def metric_curves(evidence: Evidence) -> Picture | None:
    """The metric over the steps, treated against untreated, all seeds."""
    objective = evidence.objective
    if objective is None:
        return None
    controls = [control for control, _ in evidence.pairs.values()]
    treated = [run for _, run in evidence.pairs.values()]
    if not controls and evidence.baseline is not None:
        controls = [evidence.baseline]
    figure, (axes,) = new_figure()
    shown = [
        *_draw_runs(axes, objective, controls, "untreated", MUTED),
        *_draw_runs(axes, objective, treated, "treated", ACCENT),
    ]
    if not shown:
        return None
    if wants_logarithm(shown):
        axes.set_yscale("log")
        logarithmic(axes.yaxis, min(shown), max(shown))
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(label(objective.name))
    axes.legend(loc="best")
    name = label(objective.name, 60)
    if not treated:
        return finish(figure, "metric", f"{name} of the untreated run", "As the script reports it.")
    caption = "Thin: one seed each. Thick: their mean, with the range of the seeds behind it."
    return finish(figure, "metric", f"{name}, treated against untreated", caption)


def _draw_runs(
    axes: Axes, objective: Objective, runs: Iterable[Trace], name: str, colour: str
) -> list[float]:
    curves = [thinned(list(objective.series(run).finite)) for run in runs]
    curves = [curve for curve in curves if curve]
    if not curves:
        return []
    by_seed = [dict(curve) for curve in curves]
    several = len(curves) > 1
    for curve in by_seed:
        axes.plot(
            list(curve), list(curve.values()), color=colour, alpha=0.35 if several else 1.0,
            linewidth=0.8 if several else 1.8, marker="o" if len(curve) == 1 else None,
            label=None if several else name,
        )  # fmt: skip
    if several:
        steps = sorted(set.intersection(*(set(curve) for curve in by_seed)))
        values = [[curve[step] for curve in by_seed] for step in steps]
        lows, highs = [min(at) for at in values], [max(at) for at in values]
        axes.fill_between(steps, lows, highs, color=colour, alpha=0.12, linewidth=0)
        axes.plot(steps, [fmean(at) for at in values], color=colour, linewidth=2, label=name)
    return [value for curve in curves for _, value in curve]


def by_seed(evidence: Evidence) -> Picture | None:
    """Each seed before and after, and beside it the effect with its interval."""
    fix, objective = evidence.diagnosis.fix, evidence.objective
    if fix is None or objective is None:
        return None
    pairs = _real_pairs(fix)
    if not pairs:
        return None
    figure, (left, right) = new_figure(columns=2)
    for before, after in pairs:
        left.plot([0, 1], [before, after], color=MUTED, linewidth=0.8)
        left.plot([0], [before], "o", color=MUTED)
        left.plot([1], [after], "o", color=ACCENT)
    left.set_xlim(-0.4, 1.4)
    left.set_xticks([0, 1], ["untreated", "treated"])
    left.grid(axis="x", visible=False)
    left.set_ylabel(label(objective.name))
    low, high = fix.ci
    if all(map(math.isfinite, (fix.effect, low, high))):
        error = [[max(0.0, fix.effect - low)], [max(0.0, high - fix.effect)]]
        right.errorbar([0], [fix.effect], yerr=error, fmt="o", color=ACCENT, capsize=4)
    right.axhline(0, color=INK, linewidth=0.8)
    right.set_xlim(-1, 1)
    right.set_xticks([0], ["improvement"])
    right.grid(axis="x", visible=False)
    caption = (
        f"Left: the {len(pairs)} seeds of the confirmation. Right: the mean improvement "
        f"{fix.effect:.3g} with its 95 % interval, {low:.3g} to {high:.3g}."
    )
    return finish(figure, "seeds", "Each seed, before and after", caption)


def _real_pairs(fix: Fix) -> list[tuple[float, float]]:
    pairs = [(value, fix.metric_after.get(seed)) for seed, value in fix.metric_before.items()]
    return [
        (before, after)
        for before, after in pairs
        if after is not None and abs(before) < _BROKEN and abs(after) < _BROKEN
    ]


def candidates(evidence: Evidence) -> Picture | None:
    """All that was tried, sorted by its effect on the metric, with intervals where there are."""
    objective = evidence.objective
    fix = evidence.diagnosis.fix
    rows = [(t, *_effect(t, objective, fix)) for t in evidence.diagnosis.tried] if objective else []
    rows = [row for row in rows if row[1] is not None]
    if not rows or objective is None:
        return None
    rows.sort(key=lambda row: (row[0].status == "confirmed", row[1]), reverse=True)
    left_out = len(rows) - _MOST_CANDIDATES
    rows = rows[:_MOST_CANDIDATES][::-1]
    figure, (axes,) = new_figure(height=0.9 + 0.27 * len(rows))
    axes.axvline(0, color=INK, linewidth=0.8)
    for height, (tried, effect, interval) in enumerate(rows):
        _draw_candidate(axes, height, tried, effect or 0.0, interval)
    axes.set_yticks(range(len(rows)), _names([row[0].treatment for row in rows]))
    for tick, (tried, *_) in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_color(ACCENT if tried.status == "confirmed" else MUTED)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"improvement of {label(objective.name)}")
    more = f" {left_out} more had a smaller effect or none." if left_out > 0 else ""
    caption = (
        "Filled: confirmed on fresh seeds, with the 95 % interval where there were several pairs. "
        f"Hollow: refuted or not finished.{more}"
    )
    return finish(figure, "candidates", "What was tried, by its effect", caption)


def _draw_candidate(
    axes: Axes, height: int, tried: Tried, effect: float, interval: tuple[float, float] | None
) -> None:
    confirmed = tried.status == "confirmed"
    colour = ACCENT if confirmed else MUTED
    if interval is not None:
        axes.plot(interval, [height, height], color=colour, linewidth=1.2)
    fill = colour if confirmed else "none"
    axes.plot([effect], [height], "o", color=colour, markerfacecolor=fill)


def _names(treatments: list[Treatment]) -> list[str]:
    """Names of treatments, without the target where it is the same in all of them."""
    targets = {tuple(action.target for action in treatment) for treatment in treatments}
    if len(targets) == 1:
        bare = {"target": ""}
        treatments = [tuple(a.model_copy(update=bare) for a in t) for t in treatments]
    return [label(describe(treatment), 38) for treatment in treatments]


def _effect(
    tried: Tried, objective: Objective, fix: Fix | None
) -> tuple[float | None, tuple[float, float] | None]:
    """Mean improvement, and its interval where there are several pairs."""
    if fix is not None and tried.treatment == fix.treatment:
        return fix.effect, fix.ci
    seeds = [
        seed
        for seed, value in tried.metric.items()
        if abs(value) < _BROKEN and abs(tried.control.get(seed, math.inf)) < _BROKEN
    ]
    if not seeds:
        return None, None
    before = {seed: tried.control[seed] for seed in seeds}
    comparison = compare(objective, before, {seed: tried.metric[seed] for seed in seeds})
    return comparison.effect, comparison.ci if len(seeds) > 1 else None
