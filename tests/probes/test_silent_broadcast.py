from __future__ import annotations

import pytest

from probes.silent_broadcast import SilentBroadcast


def read(make_trace, flags, times=32.0):
    signals = {
        ("train", "train.py:1", "loss.broadcast"): flags,
        ("train", "train.py:1", "loss.inflation"): [times if flag else 1.0 for flag in flags],
    }
    return list(SilentBroadcast().read(make_trace(signals, terms=("error",))))


def test_every_step_is_broadcast(make_trace) -> None:
    (symptom,) = read(make_trace, [1.0] * 8)
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("error", "train.py:1")
    assert "with 32 targets" in symptom.message


@pytest.mark.parametrize("flags", [[0.0] * 8, [1.0, 0.0] * 4, [1.0, 1.0]])
def test_nothing_is_found(make_trace, flags) -> None:
    assert not read(make_trace, flags)
