"""Figures of what probes recorded: where and when a symptom set in, and the loss terms' shares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from agent.page.canvas import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    SICK,
    Picture,
    finish,
    label,
    logarithmic,
    new_figure,
    thinned,
    wants_logarithm,
)
from agent.page.evidence import Evidence, ShownSignal
from probes.series import Series
from probes.trace import Phase, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ROWS = 28
_MOST_COLUMNS = 80
_AS_LINES = 2  # places up to which lines say more than a heat map
_MOST_TERMS = 7
_PHASES: tuple[tuple[Phase, str], ...] = (("train", "in training"), ("eval", "in evaluation"))


def where_and_when(evidence: Evidence) -> list[Picture]:
    """The signal that the worst symptom was read from, over places and steps, by phase."""
    shown, trace = evidence.signal, evidence.baseline
    if shown is None or trace is None:
        return []
    places = [p for p in _places(trace, shown.name) if _values(trace, shown.name, p)]
    if not places:
        return []
    if len({value for place in places for value in _values(trace, shown.name, place)}) == 1:
        return []  # A mark, not a measure: the words say it.
    if len(places) <= _AS_LINES:
        return [_as_lines(trace, shown, places)]
    rows = _chosen(places, shown.symptom.where)
    scale = _scale(trace, shown.name, rows)
    pictures = [
        _heat_map(trace, shown, rows, len(places), phase, told, scale) for phase, told in _PHASES
    ]
    return [picture for picture in pictures if picture is not None]


def term_shares(evidence: Evidence) -> Picture | None:
    """What each loss term had of the gradient, over the steps."""
    shares = evidence.shares
    sick = {symptom.where for symptom in evidence.diagnosis.symptoms if symptom.alarming}
    if not shares:
        return None
    ranked = sorted(shares, key=lambda where: -sum(shares[where].finite.values))[:_MOST_TERMS]
    steps = sorted(set.intersection(*(set(shares[where].finite.steps) for where in ranked)))
    if len(steps) < 2:
        return None
    figure, (axes,) = new_figure()
    bottom = [0.0] * len(steps)
    for place, where in enumerate(ranked):
        values = dict(shares[where].finite)
        top = [low + values[step] for low, step in zip(bottom, steps, strict=True)]
        colour = SICK if where in sick else ACCENT
        strength = 0.75 if where in sick else 0.6 / (1 + 0.7 * place)
        axes.fill_between(
            steps, bottom, top, color=colour, alpha=strength, linewidth=0, label=label(where)
        )
        bottom = top
    axes.set_ylim(0, max(1.0, *bottom))
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("share of the gradient")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    caption = "How much of the gradient on the shared parameters each term of the loss has."
    return finish(figure, "terms", "The terms of the loss, untreated", caption)


def _places(trace: Trace, name: str) -> list[str]:
    found = [*trace.places(name, "train"), *trace.places(name, "eval")]
    order = {where: place for place, where in enumerate(trace.modules)}
    return sorted(dict.fromkeys(found), key=lambda where: order.get(where, len(order)))


def _values(trace: Trace, name: str, where: str) -> list[float]:
    return [v for phase, _ in _PHASES for v in trace.signal(phase, where, name).finite.values]


def _chosen(places: list[str], sick: str) -> list[str]:
    """As many places as fit: the sick one, those within and around it, then the others evenly."""
    if len(places) <= _MOST_ROWS:
        return places
    within = [place for place in places if _related(place, sick)]
    kept = set(within[:_MOST_ROWS])
    others = [place for place in places if place not in kept]
    left = _MOST_ROWS - len(kept)
    stride = math.ceil(len(others) / left) if left else len(others) + 1
    kept |= set(others[::stride])
    return [place for place in places if place in kept]


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _scale(trace: Trace, name: str, rows: list[str]) -> tuple[float, float]:
    values = sorted(v for where in rows for v in _values(trace, name, where))
    cut = len(values) // 100  # single outliers must not flatten the rest
    return values[cut], values[-1 - cut]


def _heat_map(
    trace: Trace, shown: ShownSignal, rows: list[str], of: int, phase: Phase, told: str,
    scale: tuple[float, float],
) -> Picture | None:  # fmt: skip
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize

    symptom = shown.symptom
    edges, table = _table([trace.signal(phase, where, shown.name) for where in rows])
    if not table:
        return None
    figure, (axes,) = new_figure(height=1.3 + 0.2 * len(rows))
    low, high = scale
    norm = LogNorm if low > 0 and high > 30 * low else Normalize
    # From clear to full: it fits a light page as well as a dark one.
    shades = LinearSegmentedColormap.from_list("page", [(*_rgb(ACCENT), 0.1), (*_rgb(ACCENT), 1)])
    picture = axes.pcolormesh(
        edges, range(len(rows) + 1), table, norm=norm(low, high if high > low else low + 1e-9),
        cmap=shades, rasterized=True,
    )  # fmt: skip
    axes.grid(visible=False)
    axes.set_yticks([place + 0.5 for place in range(len(rows))], [label(r, 26) for r in rows])
    axes.invert_yaxis()
    for tick, where in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_color(SICK if where == symptom.where else MUTED)
    _mark_onset(axes, symptom.step)
    axes.set_xlabel("optimizer step")
    bar = figure.colorbar(picture, ax=axes, fraction=0.04, pad=0.02)
    if norm is LogNorm:
        logarithmic(bar.ax.yaxis, low, high)
    bar.outline.set_visible(False)
    some = f"{len(rows)} of {of} places. " if of > len(rows) else ""
    caption = (
        f"{some}Marked: {label(symptom.where)}, and step {symptom.step}, where {symptom.code} set "
        "in. Both phases have one scale."
    )
    title = f"{shown.name} {told}, untreated"
    return finish(figure, f"signal-{phase}", title, caption)


def _table(rows: list[Series]) -> tuple[list[float], list[list[float]]]:
    """Edges of the columns, and the mean of each row in each of them; NaN where there is none."""
    steps = sorted({step for series in rows for step in series.steps})
    if not steps:
        return [], []
    width = math.ceil(len(steps) / _MOST_COLUMNS)
    starts = steps[::width]
    gap = (starts[-1] - starts[0]) / (len(starts) - 1) if len(starts) > 1 else 1.0
    column = {step: place // width for place, step in enumerate(steps)}
    table = []
    for series in rows:
        cells: list[list[float]] = [[] for _ in starts]
        for step, value in series.finite:
            cells[column[step]].append(value)
        table.append([sum(cell) / len(cell) if cell else math.nan for cell in cells])
    return [*map(float, starts), starts[-1] + gap], table


def _as_lines(trace: Trace, shown: ShownSignal, places: list[str]) -> Picture:
    figure, (axes,) = new_figure()
    drawn: list[float] = []
    for place, where in enumerate(places):
        for phase, told in _PHASES:
            points = thinned(list(trace.signal(phase, where, shown.name).finite))
            if not points:
                continue
            steps, values = zip(*points, strict=True)
            axes.plot(
                steps, values, color=SICK if where == shown.symptom.where else INK,
                linestyle="-" if phase == "train" else (0, (4, 2)), alpha=1.0 - 0.4 * place,
                label=f"{label(where)} {told}",
            )  # fmt: skip
            drawn += values
    if wants_logarithm(drawn):
        axes.set_yscale("log")
        logarithmic(axes.yaxis, min(drawn), max(drawn))
    _mark_onset(axes, shown.symptom.step)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(shown.name)
    axes.legend(loc="best", fontsize=9)
    caption = f"Marked: step {shown.symptom.step}, where {shown.symptom.code} set in."
    return finish(figure, "signal", f"{shown.name} of the untreated run", caption)


def _mark_onset(axes: Axes, step: int) -> None:
    from matplotlib import patheffects

    # With a rim, to be seen on dark cells, too.
    rim = [patheffects.withStroke(linewidth=3, foreground=PAPER, alpha=0.6)]
    axes.axvline(step, color=SICK, linewidth=1.2, linestyle=(0, (3, 2)), path_effects=rim)


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue
