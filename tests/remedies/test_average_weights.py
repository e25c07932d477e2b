from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from remedies import remedies

DECAY = 0.9
Loop = Callable[[list[Tensor], bool], nn.Module]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.register_buffer("mask", torch.full((3,), float("-inf")))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


PROBE = torch.linspace(-1, 1, 12).view(4, 3)


def start() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = Net()
    return model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)


def one_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    inputs = torch.randn(8, 3)
    loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def averages(model: nn.Module, old: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """The averages after a step, by the book."""
    decay = min(DECAY, (1 + step) / (10 + step))
    new = {k: v.clone() for k, v in model.state_dict().items() if v.is_floating_point()}
    return {k: decay * old[k] + (1 - decay) * new[k] if k in old else new[k] for k in new}


def by_the_book(until: int) -> nn.Module:
    """The model that is evaluated after so many steps."""
    model, optimizer = start()
    kept: dict[str, Tensor] = {}
    for step in range(1, until + 1):
        one_step(model, optimizer)
        kept = averages(model, kept, step)
    kept["mask"] = model.mask
    model.load_state_dict(kept, strict=False)
    return model


def in_eval_mode(seen: list[Tensor], grad: bool = False) -> nn.Module:
    model, optimizer = start()
    for _ in range(4):
        model.train()
        for _ in range(5):
            one_step(model, optimizer)
        model.eval()
        with torch.set_grad_enabled(grad):
            seen.append(model(PROBE).detach())
        seen.extend(value.clone() for value in model.state_dict().values())
    return model


def in_train_mode(seen: list[Tensor]) -> nn.Module:
    """Without a norm, for which it would matter."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for step in range(20):
        one_step(model, optimizer)
        if step % 5 == 4:
            with torch.no_grad():
                seen.append(model(PROBE))
            seen.append(model.weight.detach().clone())
    return model


def action(decay: float = DECAY):
    return remedies["R304"].default("").model_copy(update={"params": {"decay": decay}})


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("grad", [False, True], ids=["no_grad", "with grad"])
def test_evaluation_sees_the_averages_and_training_does_not(treat, grad: bool) -> None:
    plain: list[Tensor] = []
    seen: list[Tensor] = []
    control = in_eval_mode(plain, grad)
    model, trace = treat(lambda: in_eval_mode(seen, grad), (action(),))
    assert same(model, control)
    assert len(trace.applied) == 1
    expected = by_the_book(20).eval()
    with torch.no_grad():
        assert torch.allclose(seen[-11], expected(PROBE), atol=1e-6)
    assert not torch.allclose(seen[-11], plain[-11], atol=1e-3)


def test_what_is_saved_after_evaluation_are_the_averages(treat) -> None:
    seen: list[Tensor] = []
    treat(lambda: in_eval_mode(seen), (action(),))
    state = by_the_book(20).state_dict()
    for saved, (name, value) in zip(seen[-10:], state.items(), strict=True):
        if name != "layers.1.num_batches_tracked":
            assert torch.allclose(saved, value, atol=1e-6), name


def test_without_eval_mode_the_averages_are_there_for_the_pass_only(treat) -> None:
    plain: list[Tensor] = []
    seen: list[Tensor] = []
    control = in_train_mode(plain)
    model, trace = treat(lambda: in_train_mode(seen), (action(),))
    assert same(model, control)
    assert len(trace.applied) == 1
    assert all(torch.equal(a, b) for a, b in zip(seen[1::2], plain[1::2], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(seen[::2], plain[::2], strict=True))


def test_an_evaluation_between_forward_and_backward(treat) -> None:
    def program() -> nn.Module:
        model, optimizer = start()
        for step in range(12):
            loss = model(PROBE).square().mean()
            if step % 4 == 3:
                model.eval()
                model(PROBE)
            loss.backward()
            optimizer.step()
            model.train()
        return model

    model, trace = treat(program, (action(),))
    assert same(model, program())
    assert trace.applied


def test_targets_of_the_training_are_left_alone(treat) -> None:
    def program() -> nn.Module:
        model, optimizer = start()
        for _ in range(12):
            with torch.no_grad():
                target = model(PROBE) * 0.5 + 1
            (model(PROBE) - target).square().mean().backward()
            optimizer.step()
        return model

    model, trace = treat(program, (action(),))
    assert same(model, program())
    assert not trace.applied


def test_training_in_eval_mode_is_left_alone(treat) -> None:
    def program() -> nn.Module:
        model, optimizer = start()
        model.eval()
        for step in range(12):
            one_step(model, optimizer)
            if step % 5 == 4:
                with torch.no_grad():
                    model(PROBE)
        return model

    model, trace = treat(program, (action(),))
    assert same(model, program())
    assert len(trace.applied) == 1


def test_weights_that_the_script_loads_meanwhile_stay(treat) -> None:
    def program() -> nn.Module:
        model, optimizer = start()
        first = {name: value.clone() for name, value in model.state_dict().items()}
        for _ in range(6):
            one_step(model, optimizer)
        model.eval()
        model(PROBE)
        model.load_state_dict(first)
        model.train()
        one_step(model, optimizer)
        return model

    model, trace = treat(program, (action(),))
    assert trace.applied
    assert same(model, program())


def test_a_decay_of_one_is_nonsense(treat) -> None:
    with pytest.raises(ValueError, match="decay"):
        treat(lambda: in_train_mode([]), (action(1.0),))
