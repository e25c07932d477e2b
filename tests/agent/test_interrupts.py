"""An interrupt that comes while Python ignores exceptions comes again."""

from __future__ import annotations

import signal
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from agent.interrupts import make_interrupts_certain


@pytest.fixture(autouse=True)
def certain() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    make_interrupts_certain()
    yield
    signal.signal(signal.SIGINT, before)


class Finalised:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


class Key:
    """Is looked up once more when what it stands for goes away."""

    kept = False

    def __hash__(self) -> int:
        if self.kept:
            signal.raise_signal(signal.SIGINT)
        return 1


def finalise() -> None:
    Finalised()


def forget() -> None:
    known: weakref.WeakValueDictionary[Key, Key] = weakref.WeakValueDictionary()
    key, value = Key(), Key()
    known[key] = value
    key.kept = True
    del value


def plainly() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("interrupted", [finalise, forget, plainly])
def test_it_is_raised_in_the_end(interrupted: Callable[[], None]) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted()
        time.sleep(5)


def test_another_handler_is_left_alone() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    make_interrupts_certain()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
