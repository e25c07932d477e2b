"""Gradients with and without checkpointing are compared, and training goes on as if they were not.

Each program trains in an awkward way; what it returns must be the same to the last bit with the
tap on: parameters, buffers, random states, and what its own bookkeeping says.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint_sequential

from probes.trace import Trace
from tests.probes.tap.observing import tapped

Step = Callable[[nn.Module, Tensor], Tensor]


def checkpoint(*args: Any, **kwargs: Any) -> Any:
    """As a script has it that imports it under the tap."""
    return torch.utils.checkpoint.checkpoint(*args, **kwargs)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.writer = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.norm, self.dropout = nn.BatchNorm1d(4), nn.Dropout(0.4)
        self.counted: list[int] = []
        self.calls = 0
        self.register_buffer("usage", torch.zeros(4))

    def segment(self, hidden: Tensor, extra: dict[str, Tensor] | None = None) -> Tensor:
        self.calls += 1
        self.counted.append(self.calls)
        self.usage += hidden.detach().abs().mean(0)
        hidden = self.dropout(self.norm(torch.tanh(self.second(hidden))))
        return hidden * extra["scale"] if extra else hidden


def reentrant_dict(net: Net, inputs: Tensor) -> Tensor:
    extra = {"scale": net.writer(inputs)}
    return checkpoint(net.segment, net.first(inputs), extra, use_reentrant=True)


def reentrant_dict_alone(net: Net, inputs: Tensor) -> Tensor:
    extra = {"scale": net.writer(inputs)}
    return net.first(checkpoint(net.segment, inputs, extra, use_reentrant=True))


def non_reentrant(net: Net, inputs: Tensor) -> Tensor:
    scale = net.writer(inputs)
    hidden = net.first(checkpoint(net.segment, inputs, {"scale": scale}, use_reentrant=False))
    return checkpoint(lambda h, s=scale: net.segment(h) * s, hidden, use_reentrant=False)


def reentrant_closure(net: Net, inputs: Tensor) -> Tensor:
    scale = net.writer(inputs)
    return checkpoint(lambda h: net.segment(h) * scale, net.first(inputs), use_reentrant=True)


def dict_out(net: Net, inputs: Tensor) -> Tensor:
    def run(hidden: Tensor) -> dict[str, Tensor]:
        return {"hidden": net.segment(hidden)}

    return checkpoint(run, net.first(inputs), use_reentrant=True)["hidden"] + net.writer(inputs)


def tuple_out(net: Net, inputs: Tensor) -> Tensor:
    def run(hidden: Tensor, nothing: None) -> tuple[Tensor, int, Tensor]:
        return net.segment(hidden), 3, net.writer(hidden)

    one, _, other = checkpoint(run, net.first(inputs), None, use_reentrant=True)
    return one + other


def nested(net: Net, inputs: Tensor) -> Tensor:
    def outer(hidden: Tensor) -> Tensor:
        return net.writer(checkpoint(net.segment, hidden, use_reentrant=True))

    return checkpoint(outer, net.first(inputs), use_reentrant=True)


def sequential(net: Net, inputs: Tensor) -> Tensor:
    parts = [net.first, net.norm, nn.ReLU(inplace=True), net.second, nn.Tanh()]
    return checkpoint_sequential(parts, 2, net.writer(inputs), use_reentrant=False)


def in_place(net: Net, inputs: Tensor) -> Tensor:
    moved = inputs.clone()

    def run(hidden: Tensor) -> Tensor:
        moved.mul_(0.999)
        return net.segment(hidden) * moved

    return checkpoint(run, net.first(inputs), use_reentrant=False)


def autocast(net: Net, inputs: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = net.second(net.first(inputs))
        return checkpoint(net.segment, hidden, use_reentrant=False).float()


def two_dependent_inputs(net: Net, inputs: Tensor) -> Tensor:
    """One tensor from outside was made from the other, and both from a shared weight."""
    early = net.first(inputs)
    late = net.first(early)
    return checkpoint(lambda h: net.first(h) * early, late, use_reentrant=False)


generator = torch.Generator()
numbers = np.random.default_rng(0)


def own_generators(net: Net, inputs: Tensor) -> Tensor:
    def run(hidden: Tensor) -> Tensor:
        noise = torch.rand(4, generator=generator) + float(numbers.random()) + random.random()
        return net.segment(hidden) * noise

    return checkpoint(run, net.first(inputs), use_reentrant=False)


def enlarge(parameter: Tensor) -> None:
    parameter.grad.mul_(1.01)


def hooks_on_gradients(net: Net, inputs: Tensor) -> Tensor:
    if not net.counted:
        net.second.weight.register_post_accumulate_grad_hook(enlarge)
        net.second.bias.register_hook(lambda g: net.counted.append(int(g.numel())))
    return checkpoint(net.segment, net.first(inputs), use_reentrant=True)


PROGRAMS: list[Step] = [
    reentrant_dict, reentrant_dict_alone, non_reentrant, reentrant_closure, dict_out, tuple_out,
    nested, sequential, in_place, autocast, two_dependent_inputs, own_generators,
    hooks_on_gradients,
]  # fmt: skip
LOSSLESS = [
    reentrant_dict, non_reentrant, reentrant_closure, tuple_out, nested, sequential, autocast,
    two_dependent_inputs, hooks_on_gradients,
]  # fmt: skip


def train(step: Step, steps: int = 4) -> list[Any]:
    global numbers
    torch.manual_seed(0)
    random.seed(0)
    numbers = np.random.default_rng(0)
    generator.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for number in range(steps):
        loss = step(net, torch.randn(8, 4)).square().mean()
        loss.backward()
        optimizer.step()
        if number % 2:
            optimizer.zero_grad()  # between them gradients add up
    gradients = [p.grad for p in net.parameters()]
    random_states = [torch.get_rng_state(), generator.get_state()]
    random_numbers = [random.random(), float(numbers.random())]
    return [*net.state_dict().values(), *gradients, *random_states, random_numbers, net.counted]


def observe(step: Step, steps: int = 4) -> tuple[Trace, list[Any]]:
    with tapped() as observed:
        result = train(step, steps)
    return observed.trace, result


def same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) else one == other


def lost(trace: Trace) -> set[str]:
    return {where.partition("|")[2] for where in trace.places("checkpoint.lost_share")}


@pytest.mark.parametrize("step", PROGRAMS, ids=lambda step: step.__name__)
@pytest.mark.filterwarnings("ignore")
def test_training_is_bit_identical(step: Step) -> None:
    original = torch.utils.checkpoint.checkpoint
    bare = train(step)
    trace, probed = observe(step)
    assert len(bare) == len(probed)
    assert all(map(same, bare, probed))
    where, *_ = trace.places("checkpoint.difference")
    assert set(trace.signal("train", where, "checkpoint.difference").steps) <= {0, 1, 2, 3}
    assert not trace.notes
    assert torch.utils.checkpoint.checkpoint is original
    if step in LOSSLESS:
        assert not lost(trace)
        assert max(trace.signals["train", where, "checkpoint.difference"].values) < 1e-6


@pytest.mark.filterwarnings("ignore")
def test_what_is_cut_off_is_named_with_its_place() -> None:
    trace, _ = observe(reentrant_dict_alone)
    inside = {f"{m}.{kind}" for m in ("second", "norm", "writer") for kind in ("weight", "bias")}
    assert lost(trace) == inside
    (where,) = trace.places("checkpoint.difference")
    module, _, place = where.partition("@")
    assert module == "Net"
    lines = Path(__file__).read_text().splitlines()
    assert place.startswith("test_checkpoints.py:")
    assert "torch.utils.checkpoint.checkpoint(" in lines[int(place.split(":")[1]) - 1]
    assert trace.signal("train", where, "checkpoint.reentrant").values == [1.0] * 3
    assert trace.signal("train", where, "checkpoint.difference").values == [1.0] * 3


@pytest.mark.filterwarnings("ignore")
def test_outputs_in_a_dict_are_cut_off() -> None:
    trace, _ = observe(dict_out)
    assert lost(trace) >= {"second.weight", "first.weight"}


def test_a_gradient_of_another_function_is_seen() -> None:
    def forgetful(net: Net, inputs: Tensor) -> Tensor:
        run = functools.partial(checkpoint, preserve_rng_state=False, use_reentrant=False)
        return run(net.segment, net.first(inputs))

    for step in (forgetful, own_generators):
        trace, _ = observe(step)
        (where,) = trace.places("checkpoint.difference")
        assert trace.signal("train", where, "checkpoint.noise").values == [0.0] * 3
        assert min(trace.signal("train", where, "checkpoint.difference").values) > 0.01
        assert not lost(trace)


@pytest.mark.filterwarnings("ignore")
def test_a_network_that_nobody_trains_loses_nothing() -> None:
    teacher = nn.Linear(4, 4)

    def taught(net: Net, inputs: Tensor) -> Tensor:
        target = checkpoint(teacher, inputs, use_reentrant=True)
        return net.first(inputs) - target.detach()

    trace, _ = observe(taught)
    assert not trace.places("checkpoint.difference")
