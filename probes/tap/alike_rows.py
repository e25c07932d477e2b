"""Whether the units of a layer are all the same one."""

from __future__ import annotations

from torch import Tensor

from probes.tap.statistics import stride

_NEAR = 1e-3
"""As a share of the largest weight, which rounding does not reach."""
_MOST_ROWS = 16
_MOST_COLUMNS = 1024


def may_be_alike(weight: Tensor) -> bool:
    """Whether every row of a weight has a twin with the same values.

    Args:
        weight: Any shape; what follows the first dimension is a row. Of many or long rows, some.
            A recurrent layer has a row for each of its gates.
    """
    rows = weight.dim() > 1 and len(weight) > 1 and weight[0].numel() > 0
    return rows and _all_have_twins(_near(_some_rows(weight)))


def are_alike(weight: Tensor, gradient: Tensor) -> bool:
    """Whether every row has a twin that gets the same gradient as well, other than zero."""
    pushed = _some_rows(gradient)
    return bool(pushed.any()) and _all_have_twins(_near(pushed) & _near(_some_rows(weight)))


def _some_rows(values: Tensor) -> Tensor:
    rows = values.reshape(len(values), -1)
    return rows[:: stride(len(rows), _MOST_ROWS), :: stride(rows.shape[1], _MOST_COLUMNS)].float()


def _near(rows: Tensor) -> Tensor:
    """Which rows are the same as which, shape (rows, rows)."""
    apart = (rows[:, None] - rows).abs().amax(-1)
    near: Tensor = apart <= _NEAR * rows.abs().amax()
    return near


def _all_have_twins(near: Tensor) -> bool:
    return bool(near.fill_diagonal_(False).any(1).all())
