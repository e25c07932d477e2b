"""Takes the noise out of chosen places, and leaves the random stream as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from probes.tap.draws import Addition, Draws
from probes.tap.noise_places import NoisePlaces


class NoiseMute:
    """Answers the additions of noise at chosen places as if the noise were zero.

    The noise is drawn all the same, so that all other draws of the program stay what they were.

    Args:
        places: Names the places.
    """

    def __init__(self, places: NoisePlaces) -> None:
        self._places = places
        self._draws = Draws()
        self.muted: dict[str, Callable[[], None]] = {}
        """What to call when noise was taken out, for every place that is to be muted."""

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a torch function that has to do with noise (see `Rewrite`)."""
        if not self._draws.concerned(func, args):
            return NotImplemented
        addition = self._draws.addition(func, args, kwargs)
        place = self._places.here(addition) if addition is not None else None
        if addition is not None and place is not None and place[0] in self.muted:
            result = _without_noise(addition, func, args, kwargs)
            self.muted[place[0]]()
        else:
            result = func(*args, **kwargs)
        self._draws.follow(func, args, kwargs, result)
        return result


def _without_noise(
    addition: Addition, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if addition.noise is None:
        return addition.signal.expand(func(*args, **kwargs).shape)
    noise: Tensor = args[addition.noise]
    if addition.noise == 0 and func.__name__.endswith("_"):  # The sum is to lie where it lay.
        muted = noise.mul_(0.0)
    else:
        muted = noise * 0.0
    return func(*args[: addition.noise], muted, *args[addition.noise + 1 :], **kwargs)
