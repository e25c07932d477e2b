"""Statistics of tensors, computed where they are and read back all at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from probes.tap.transforms import bare
from probes.trace import Event, Phase

_MOST_VALUES = 2**14
"""Of one output or parameter: as many as tell a standard deviation to less than one percent, or to
two where the kurtosis is 25. Large models have no room for further copies of their weights."""


def first_tensor(value: object) -> Tensor | None:
    """The first dense floating-point tensor with elements in a module's inputs or output."""
    with torch._C.DisableTorchFunction():
        return _first_tensor(value)


def _first_tensor(value: object) -> Tensor | None:
    if isinstance(value, Tensor):
        tensor: Tensor = bare(value)
        strided = tensor.layout == torch.strided
        return tensor if tensor.is_floating_point() and strided and tensor.numel() > 0 else None
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return next((t for item in value if (t := _first_tensor(item)) is not None), None)
    return None


def output_statistics(output: Tensor) -> dict[str, Tensor]:
    """Scale and spread of a module's output.

    Args:
        output: Any shape; the first dimension is taken for the batch.

    Returns:
        ``output.mean`` and ``output.rms`` over all elements; ``output.std``; ``output.sample_std``,
        the standard deviation over the batch, averaged over all other positions (0 means that all
        samples look alike). The last two are of some positions of a large output.
    """
    # Sums and norms: on a CPU, torch's var and std take ten times as long.
    values = output.detach()
    mean = values.mean(dtype=torch.promote_types(values.dtype, torch.float32))
    rms = root_mean_square(values)
    some = _some_positions(values)
    spread = torch.linalg.vector_norm(some - some.mean()) / math.sqrt(some.numel())
    found = {"output.mean": mean, "output.std": spread, "output.rms": rms}
    if values.dim() > 1 and values.shape[0] > 1:
        squares = (some - some.mean(0)).square_().sum(0)
        found["output.sample_std"] = (squares / (some.shape[0] - 1)).sqrt_().mean()
    return found


def root_mean_square(values: Tensor) -> Tensor:
    """In a precision that half a million half-precision numbers do not overflow."""
    values = values.detach() if values.is_floating_point() else values.detach().float()
    exact = torch.promote_types(values.dtype, torch.float32)
    norm: Tensor = torch.linalg.vector_norm(values, dtype=exact)
    return norm / math.sqrt(values.numel())


def dot(one: Tensor, other: Tensor) -> Tensor:
    """The sum of the product, without the product itself, which would be as large as they are."""
    return torch.dot(one.float().flatten(), other.float().flatten())


def stride(count: int, most: int) -> int:
    """The step that meets no more than some of so many elements, evenly.

    It has no factor in common with their number, and so with no dimension of what was flattened:
    else it would meet the same places of each row, such as the first moment of every sequence.

    >>> stride(64 * 9, 64), stride(1_000_000, 1_000), stride(10, 64)
    (11, 1001, 1)
    """
    step = max(1, -(-count // most))
    while math.gcd(step, count) > 1:
        step += 1
    return step


def some_elements(tensor: Tensor) -> Tensor:
    """Evenly from every row and column of a large tensor; a view where the tensor allows it."""
    return tensor.reshape(-1)[:: stride(tensor.numel(), _MOST_VALUES)]


def sketch(tensor: Tensor) -> Tensor:
    """A small tensor flat; of a large one `some_elements`, scaled.

    The dot product of two sketches estimates that of the tensors, which have one shape.
    """
    some = some_elements(tensor)
    if some.numel() == tensor.numel():
        return some
    return some.float() * math.sqrt(tensor.numel() / some.numel())


def _some_positions(values: Tensor) -> Tensor:
    """Values of every sample at up to so many positions, as a matrix with a row for each sample."""
    rows = values.reshape(values.shape[0] if values.dim() > 1 else 1, -1)
    most = max(1, _MOST_VALUES // rows.shape[0])
    return rows[:, :: stride(rows.shape[1], most)].float()


def prediction_statistics(output: Tensor) -> dict[str, Tensor]:
    """How predictions spread over classes, for an output that can be logits.

    Args:
        output: Shape (batch, classes) or (batch, classes, ...) with at most 1000 classes.

    Returns:
        ``prediction.top_share``: share of the class that is predicted most often. Nothing for
        outputs of another shape.
    """
    if output.dim() < 2 or not 2 <= output.shape[1] <= 1000:
        return {}
    classes = output.detach().argmax(1).flatten()
    counts = torch.zeros(output.shape[1], device=classes.device)
    counts.scatter_add_(0, classes, torch.ones_like(classes, dtype=counts.dtype))
    return {"prediction.top_share": counts.max() / classes.numel()}


def norm_statistics(module: Any, batch: Tensor) -> dict[str, Tensor]:
    """How far the running statistics of a norm are from those of the batch that it is given.

    Args:
        module: A norm with ``running_mean`` and ``running_var``, shape (channels,).
        batch: Its input, shape (batch, channels, ...).

    Returns:
        ``norm.variance_ratio``: batch variance over running variance, geometric mean over the
        channels. ``norm.mean_shift``: distance of the means in units of the running standard
        deviation, averaged over the channels: the shift that the output has in eval mode.
        ``norm.positions``: values that a channel has in one sample.
    """
    values = batch.detach().float().reshape(*batch.shape[:2], -1)  # (batch, channels, positions)
    count = values.shape[0] * values.shape[2]
    if count < 2:
        return {}
    # Over the positions first: on a CPU, torch's var_mean takes eight times as long.
    mean = values.mean(2).mean(0)
    squares = (values - mean[:, None]).square_().sum(2).sum(0)
    variance = squares / (count - 1)
    running_mean, running_var = module.running_mean.float(), module.running_var.float()
    epsilon = module.eps
    ratio = ((variance + epsilon) / (running_var + epsilon)).log().mean().exp()
    shift = ((mean - running_mean).abs() / (running_var + epsilon).sqrt()).mean()
    positions = mean.new_full((), values.shape[2])
    return {"norm.variance_ratio": ratio, "norm.mean_shift": shift, "norm.positions": positions}


class Collector:
    """Holds statistics on their device until all are read back in one transfer."""

    def __init__(self) -> None:
        self._rows: dict[Phase, list[tuple[str, str, Tensor | float]]] = {"train": [], "eval": []}

    @property
    def pending(self) -> bool:
        """Whether anything is held."""
        return any(self._rows.values())

    def add(self, phase: Phase, where: str, statistics: Mapping[str, Tensor | float]) -> None:
        """Keep statistics of one place."""
        self._rows[phase].extend((where, name, value) for name, value in statistics.items())

    def drain(self, step: int) -> list[Event]:
        """One ``signals`` event per phase that has any; nothing is kept."""
        events = []
        for phase, rows in self._rows.items():
            if rows:
                values = _read([value for _, _, value in rows])
                named = [
                    [where, name, value]
                    for (where, name, _), value in zip(rows, values, strict=True)
                ]
                events.append({"event": "signals", "step": step, "phase": phase, "rows": named})
                rows.clear()
        return events


def _read(values: list[Tensor | float]) -> list[float]:
    """The numbers, in one transfer from each accelerator."""
    waiting: dict[torch.device, list[Tensor]] = {}
    for value in values:
        if isinstance(value, Tensor) and value.device.type != "cpu":
            waiting.setdefault(value.device, []).append(value.detach().double().reshape(()))
    read = {device: iter(torch.stack(group).tolist()) for device, group in waiting.items()}

    def number(value: Tensor | float) -> float:
        if not isinstance(value, Tensor):
            return float(value)
        return float(next(read[value.device]) if value.device in read else value.item())

    return [number(value) for value in values]
