"""Which layer makes the predictions."""

from __future__ import annotations

import re

from probes.trace import Trace

_LAYERS = re.compile(r"Linear|Conv")


def head(trace: Trace) -> list[str]:
    """The layer with parameters that is the last at work in a forward pass; none where unknown."""
    parents = {info.parent for info in trace.modules.values()}
    leaves = [
        trace.modules[where]
        for where in trace.places("output.mean")
        if where in trace.modules and where not in parents
    ]
    layers = [info for info in leaves if info.parameters]
    heads = [info for info in layers if _LAYERS.search(info.type)] or layers
    return [info.where for info in heads[-1:]]
