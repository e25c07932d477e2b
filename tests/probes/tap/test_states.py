"""States that are loaded again are told apart from what the model has anyway."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from probes.trace import Trace
from tests.probes.tap.observing import line_of, tapped

INPUTS = torch.arange(24.0).reshape(6, 4) / 24


def observe(program: Callable[[nn.Module], object]) -> Trace:
    with tapped() as observed:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1))
        program(model)
    return observed.trace


def train(model: nn.Module, rate: float = 0.1, steps: int = 3) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        model(INPUTS).square().mean().backward()
        optimizer.step()


def only(trace: Trace) -> tuple[str, str, str, float, float]:
    """Where it is, what the two lines are, and whether it is idle and shared."""
    (place,) = trace.places("state.idle")
    where, taken, loaded = place.split("@")
    (idle,) = set(trace.signal("train", place, "state.idle").values)
    (shared,) = set(trace.signal("train", place, "state.shared").values)
    return where, line_of(taken), line_of(loaded), idle, shared


def keeps_the_best(model: nn.Module) -> None:
    train(model)
    best = model.state_dict()
    train(model)
    model.load_state_dict(best)


def keeps_it_among_other_things(model: nn.Module) -> None:
    train(model)
    best = {"epoch": 3, "model": model.state_dict()}
    train(model)
    model.load_state_dict(best["model"])


def keeps_it_on_the_host(model: nn.Module) -> None:
    best = {key: value.cpu() for key, value in model.state_dict().items()}
    train(model)
    model.load_state_dict(best)


def keeps_it_detached(model: nn.Module) -> None:
    best = {key: value.detach() for key, value in model.state_dict().items()}
    train(model)
    model.load_state_dict(best)


@pytest.mark.parametrize(
    "program",
    [keeps_the_best, keeps_it_among_other_things, keeps_it_on_the_host, keeps_it_detached],
)
def test_a_state_that_is_no_copy_is_told_with_both_lines(program) -> None:
    where, taken, loaded, idle, shared = only(observe(program))
    assert where == "Sequential"
    assert "model.state_dict()" in taken
    assert loaded.startswith("model.load_state_dict(best")
    assert (idle, shared) == (1.0, 1.0)


def test_the_steps_since_it_was_taken_are_told() -> None:
    def program(model: nn.Module) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(12):
            if step == 5:
                state = model.state_dict()
            optimizer.zero_grad()
            model(INPUTS).square().mean().backward()
            optimizer.step()
        model.load_state_dict(state)

    trace = observe(program)
    (place,) = trace.places("state.age")
    assert trace.signal("train", place, "state.age").values == [7.0]


def test_values_computed_from_such_states_change_nothing() -> None:
    def reptile(model: nn.Module) -> None:
        for _ in range(4):
            start = model.state_dict()
            train(model)
            end = model.state_dict()
            mixed = {key: start[key] + 0.5 * (end[key] - start[key]) for key in start}
            model.load_state_dict(mixed)

    trace = observe(reptile)
    _, taken, loaded, idle, shared = only(trace)
    assert taken.startswith("start =") and loaded == "model.load_state_dict(mixed)"
    assert (idle, shared) == (1.0, 0.0)
    (place,) = trace.places("state.idle")
    assert len(trace.signal("train", place, "state.idle")) == 4


def test_values_that_are_loaded_and_change_something_are_told_as_such() -> None:
    def program(model: nn.Module) -> None:
        held = model.state_dict()
        train(model)
        model.load_state_dict({key: value * 0.5 for key, value in held.items()})

    assert only(observe(program))[3:] == (0.0, 0.0)


def the_last_is_the_best(model: nn.Module) -> None:
    train(model)
    best = model.state_dict()
    model.load_state_dict(best)


def a_deep_copy(model: nn.Module) -> None:
    best = copy.deepcopy(model.state_dict())
    train(model)
    model.load_state_dict(best)


def clones(model: nn.Module) -> None:
    best = {key: value.clone() for key, value in model.state_dict().items()}
    train(model)
    model.load_state_dict(best)


def from_a_file(model: nn.Module) -> None:
    torch.save(model.state_dict(), "state.pt")
    train(model)
    torch.save(model.state_dict(), "state.pt")
    model.load_state_dict(torch.load("state.pt"))


def into_another_model(model: nn.Module) -> None:
    target = copy.deepcopy(model)
    state = model.state_dict()
    for _ in range(3):
        train(model)
        target.load_state_dict(state)
        target.load_state_dict(model.state_dict())


def in_one_go(model: nn.Module) -> None:
    for _ in range(3):
        train(model)
        model.load_state_dict(model.state_dict())


def nothing_moved(model: nn.Module) -> None:
    best = model.state_dict()
    train(model, rate=0.0)
    model.load_state_dict(best)


def changed_by_hand(model: nn.Module) -> None:
    train(model)
    state = model.state_dict()
    state["0.weight"].clamp_(-0.01, 0.01)
    model.load_state_dict(state)


def printed_and_held(model: nn.Module) -> None:
    state = model.state_dict()
    for _ in range(3):
        train(model)
        model.load_state_dict(copy.deepcopy(model.state_dict()))
    assert len(state) == 9


def reptile_with_copies(model: nn.Module) -> None:
    for _ in range(3):
        start = copy.deepcopy(model.state_dict())
        train(model)
        end = model.state_dict()
        model.load_state_dict({key: (start[key] + end[key]) / 2 for key in start})


def a_part_of_it_is_taken_in_passing(model: nn.Module) -> None:
    parts = [part.state_dict() for part in model]
    train(model)
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    assert len(parts) == 4


@pytest.mark.parametrize(
    "program",
    [
        the_last_is_the_best,
        a_deep_copy,
        clones,
        from_a_file,
        into_another_model,
        in_one_go,
        nothing_moved,
        changed_by_hand,
        reptile_with_copies,
        a_part_of_it_is_taken_in_passing,
    ],
)
def test_nothing_is_told_of(program, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not observe(program).places("state.idle")


def test_a_state_that_is_held_for_something_else_is_told_once_at_most() -> None:
    trace = observe(printed_and_held)
    assert sum(len(s) for (_, _, name), s in trace.signals.items() if name == "state.idle") == 1


def test_the_state_that_is_loaded_is_meant_and_not_the_latest() -> None:
    def program(model: nn.Module) -> None:
        first = model.state_dict()
        train(model)
        latest = copy.deepcopy(model.state_dict())
        model.load_state_dict(first)
        model.load_state_dict(latest)

    assert only(observe(program))[1] == "first = model.state_dict()"


def test_a_method_of_the_users_own_and_what_cannot_be_compared_do_no_harm() -> None:
    class Odd(nn.Linear):
        def state_dict(self, *args, **kwargs):
            return {"more": "text", **super().state_dict(*args, **kwargs)}

        def load_state_dict(self, state_dict, strict=True, assign=False):
            own = {key: value for key, value in state_dict.items() if key != "more"}
            return super().load_state_dict(own, strict, assign)

    def program(model: nn.Module) -> None:
        odd = Odd(4, 1)
        best = odd.state_dict()
        train(odd)
        odd.load_state_dict(best)

    assert only(observe(program))[0] == "Odd"


def test_a_state_that_keeps_the_variables_is_no_kept_state() -> None:
    def program(model: nn.Module) -> None:
        state = model.state_dict(keep_vars=True)
        train(model)
        model.load_state_dict(state)

    assert not observe(program).places("state.idle")


def test_no_more_than_some_loads_of_a_line_are_told() -> None:
    def program(model: nn.Module) -> None:
        train(model)
        state = model.state_dict()
        train(model)
        for _ in range(100):
            model.load_state_dict(state)

    trace = observe(program)
    (place,) = trace.places("state.idle")
    assert len(trace.signal("train", place, "state.idle")) == 64


def test_a_model_that_is_not_known_is_left_out() -> None:
    def program(model: nn.Module) -> None:
        train(model)
        other = nn.Linear(3, 3)
        state = other.state_dict()
        train(model)
        with torch.no_grad():
            other.weight += 1
        other.load_state_dict(state)

    assert not observe(program).places("state.idle")


def test_only_what_happens_since_the_last_load_is_mixed() -> None:
    def program(model: nn.Module) -> None:
        held = model.state_dict()
        train(model)
        model.load_state_dict(copy.deepcopy(model.state_dict()))
        train(model)
        passing = model.state_dict()
        del passing
        model.load_state_dict({key: value + 1 for key, value in held.items()})

    trace = observe(program)
    assert sum(len(s) for (_, _, name), s in trace.signals.items() if name == "state.idle") == 1
