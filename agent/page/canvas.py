"""One look for all figures: their colours, their size, and how they get into a page.

A figure is drawn once, in the colours of the light page. In its SVG each of these is then replaced
by the style variable of the same name, so that it follows the page into the dark.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK = "#1d2230"
MUTED = "#667085"
LINE = "#d9dde4"
ACCENT = "#0b7a75"
SICK = "#b5480f"
PAPER = "#fdfdfe"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    ACCENT: "accent",
    SICK: "sick",
    PAPER: "paper",
}

WIDTH = 5.6
"""Inches; at 72 dots per inch about what one column of the page has."""
_DOTS = 120
_MOST_POINTS = 400

Point = tuple[int, float]
"""Step and value."""

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10.0,
    "text.color": INK,
    "text.parse_math": False,  # a name with two dollar signs is no formula
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Picture:
    """A figure of a page.

    Attributes:
        name: File name without its ending.
        title: What it shows, in a few words.
        caption: How to read it, in a sentence.
        svg: For the page.
        png: For everywhere else.
    """

    name: str
    title: str
    caption: str
    svg: str
    png: bytes


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the look of the page, whatever the user's settings of matplotlib are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(height: float = 2.9, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure of the page's width, with so many axes beside each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)
    return figure, list(axes[0])


def finish(figure: Figure, name: str, title: str, caption: str) -> Picture:
    """The figure as a picture for the page and as a file."""
    import matplotlib

    svg, png = io.StringIO(), io.BytesIO()
    # Identifiers in the SVGs of one page must differ, and be the same each time.
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
    figure.set_layout_engine("none")  # It is laid out by now, and that takes longest.
    figure.savefig(png, format="png", dpi=_DOTS, facecolor=PAPER)
    return Picture(name, title, caption, _for_page(svg.getvalue(), name, title), png.getvalue())


def _for_page(svg: str, name: str, title: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>|<style[^>]*/>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r'(?<= )(width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r"font: ([^;\"]*?)[\d.]+px [^;\"]*", _font, svg)
    svg = re.sub(r'\bid="([\w.]*\d|patch\w*|text\w*)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="|url\()#([\w.]*\d)(?=["\)])', rf"\1#{name}-\2", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(title)}"', 1)


def _font(found: re.Match[str]) -> str:
    size = re.search(r"[\d.]+px", found.group())
    return f"font: {found.group(1)}{size.group() if size else '10px'} var(--text)"


def label(text: object, at_most: int = 30) -> str:
    """A name of the script that fits beside a figure: its middle goes where it is too long.

    >>> label("encoder.layers.0.attention.output", 20)
    'encoder.l…ion.output'
    """
    line = plain(text)
    half = (at_most - 1) // 2
    return line if len(line) <= at_most else f"{line[:half]}…{line[half + 1 - at_most :]}"


def thinned(points: list[Point], at_most: int = _MOST_POINTS) -> list[Point]:
    """Every point of a curve, or as many of them as can be seen, its last one included."""
    stride = math.ceil(len(points) / at_most)
    return points if stride <= 1 else [*points[::stride], points[-1]]


def logarithmic(axis: Axis, low: float, high: float) -> None:
    """Plain numbers at the ticks of a logarithmic axis from low to high: a page has no formulas."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    between = (1.0, 3.0) if high < 1000 * low else (1.0,)
    axis.set_major_locator(LogLocator(subs=between, numticks=7))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def wants_logarithm(values: list[float]) -> bool:
    """Whether values cover so many orders of magnitude that a linear axis would hide most."""
    return bool(values) and min(values) > 0 and max(values) > 100 * min(values)
