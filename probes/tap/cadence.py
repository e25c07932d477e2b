"""Which steps are probed: every one of the first, then ever fewer, the same ones in every run."""

from __future__ import annotations

_DENSE = 16
_SPARSEST = 500


def is_probed(step: int) -> bool:
    """Whether the optimizer step with this number, counted from 0, is probed.

    The first 16 steps are; from there on the gap grows in proportion to the step (one sixteenth of
    it, 500 at most), so that every doubling of a run's length adds about the same number of probed
    steps and the second half of any run has about eleven of them.

    >>> [step for step in range(50) if is_probed(step)]
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, \
26, 27, 28, 29, 30, 31, 32, 34, 36, 38, 40, 42, 44, 46, 48]
    """
    return step % spacing(step) == 0


def spacing(step: int) -> int:
    """Steps between two probed ones around this step: a power of two, or 500."""
    if step < 2 * _DENSE:
        return 1
    return min(_SPARSEST, 1 << (step // _DENSE).bit_length() - 1)
