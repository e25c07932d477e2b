"""How the events of a trial are handed over."""

from __future__ import annotations

import queue
import threading

from agent.inside.keeper import Keeper
from probes.trace import Event

ENDING: Event = {"event": "ending", "status": "completed"}


class Told(Keeper):
    """Stands in for a keeper whose trial tells what it is given."""

    def __init__(self, *events: Event) -> None:
        self._events = queue.SimpleQueue()
        for event in events:
            self._events.put(event)

    def tell(self, event: Event, after: float) -> None:
        """Tell one more, some seconds later."""
        threading.Timer(after, self._events.put, [event]).start()


def step(number: int) -> Event:
    return {"event": "progress", "step": number}


def test_it_waits_for_the_first_event_and_not_for_more() -> None:
    keeper = Told()
    assert keeper.collect(0.01) == []
    keeper.tell(step(1), after=0.05)
    keeper.tell(step(2), after=5.0)
    assert keeper.collect(4.0) == [step(1)]


def test_what_comes_while_it_lingers_is_one_answer() -> None:
    keeper = Told(step(1))
    keeper.tell(step(2), after=0.05)
    assert keeper.collect(1.0, linger=1.0) == [step(1), step(2)]


def test_an_ending_is_told_at_once() -> None:
    keeper = Told(step(1))
    keeper.tell(ENDING, after=0.05)
    keeper.tell(step(2), after=5.0)
    assert keeper.collect(1.0, linger=10.0) == [step(1), ENDING]
