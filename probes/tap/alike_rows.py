"""Whether the units of a layer are all the same one."""

from __future__ import annotations

from torch import Tensor

from probes.tap.statistics import stride

_NEAR = 1e-3
"""As a share of the largest weight, which rounding does not reach."""
_MOST_ROWS = 16
_MOST_COLUMNS = 1024


def rows_alike(weight: Tensor, gradient: Tensor) -> bool | None:
    """Whether every row of a weight has a twin: the same values, and the same gradient.

    Args:
        weight: Any shape; what follows the first dimension is a row. Of many or long rows, some.
            A recurrent layer has a row for each of its gates.
        gradient: Of the same shape.

    Returns:
        None where the values differ already, or there are no rows to compare; False where it is
        the gradients alone, or all of them are zero.
    """
    if weight.dim() < 2 or len(weight) < 2 or not weight[0].numel():
        return None
    held, pushed = _near(_some_rows(weight)), _some_rows(gradient)
    if not _all_have_twins(held):
        return None
    return bool(pushed.any()) and _all_have_twins(_near(pushed) & held)


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
