"""Some elements of parameters, as they were when they were seen first."""

from __future__ import annotations

import weakref

from torch import Tensor

from probes.tap.frozen_parts import sample_of


class FirstSamples:
    """Keeps a sample of each parameter for as long as it is the same one."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[weakref.ref[Tensor], Tensor]] = {}

    def keep(self, parameter: Tensor) -> Tensor | None:
        """Sample a parameter, and remember the sample if it is the first one.

        Returns:
            The sample; None where it cannot be read.
        """
        sample = sample_of(parameter)
        if sample is not None and self.of(parameter) is None:
            self._kept[id(parameter)] = weakref.ref(parameter), sample
        return sample

    def of(self, parameter: Tensor) -> Tensor | None:
        """The first sample of a parameter; None where there is none."""
        reference, sample = self._kept.get(id(parameter), (None, None))
        return sample if reference is not None and reference() is parameter else None

    def forget(self, keys: set[int]) -> None:
        """Begin anew with some parameters, told by their identity."""
        for key in keys & self._kept.keys():
            del self._kept[key]
