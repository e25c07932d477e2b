"""A picture of an episode: the curves of the metric, untreated and treated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.env.play import Play
from remedies.treatment import describe

_INCHES = 6.4, 4.0
_DOTS_PER_INCH = 100


def picture(play: Play) -> NDArray[np.uint8]:
    """The metric over the steps, shaped (400, 640, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    runs = {"untreated": play.untreated}
    if play.now is not None:
        runs[describe(play.applied)] = play.trace
    for label, trace in runs.items():
        curve = play.objective.series(trace).finite
        axes.plot(curve.steps, curve.values, marker=".", label=label)
    axes.set(xlabel="step", ylabel=play.objective.name)
    axes.legend(frameon=False)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    return np.asarray(pixels)[..., :3].copy()
