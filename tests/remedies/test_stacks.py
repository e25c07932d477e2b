"""R603 and R605 to R607: skip connections, scores of attention, spread of an output."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.attention_entropy_collapse import takes_weights
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import Action, remedies


def act(name: str, target: str, **params: float) -> Action:
    default = remedies[name].default(target)
    return default.model_copy(update={"params": {**default.params, **params}})


def stack(skip: bool = False) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        x = torch.randn(8, 4)
        if skip:
            for layer in model:
                x = x + layer(x)
        else:
            x = model(x)
        x.square().mean().backward()
        optimizer.step()
    return model


def test_a_skip_is_what_one_would_write(treat) -> None:
    model, trace = treat(stack, (act("add-skip", "0,1,2"),))
    assert torch.equal(model[0].weight, stack(skip=True)[0].weight)
    assert [event["target"] for event in trace.applied] == ["0", "1", "2"]


def test_skips_go_around_the_outermost_modules_that_keep_the_shape(treat) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(self.one(x).relu())

    def blocks() -> nn.Module:
        model = nn.Sequential(Block(), Block(), nn.Linear(4, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.randn(8, 4)).sum().backward()
        optimizer.step()
        return model

    _, trace = treat(blocks, ())
    symptom = Symptom(code="P703", name="x", severity=1, where="1", message="")
    assert list(remedies["add-skip"].targets([symptom], trace)) == ["0,1"]


@pytest.mark.parametrize("way", ["softmax", "function", "module", "separate"])
def test_scores_are_scaled_however_attention_is_written(treat, way) -> None:
    def program(factor: float = 1.0) -> nn.Module:
        torch.manual_seed(0)
        model = nn.MultiheadAttention(8, 2, batch_first=True, kdim=4 if way == "separate" else 8)
        query = nn.Linear(8, 8)
        with torch.no_grad():
            if way == "module":
                model.in_proj_weight[:8] *= factor
            elif way == "separate":
                model.q_proj_weight *= factor
        optimizer = torch.optim.SGD([*model.parameters(), *query.parameters()], lr=0.0)
        x = torch.randn(3, 5, 8)
        for _ in range(2):
            q = factor * query(x)
            if way == "softmax":
                out = functional.softmax(q @ x.mT, dim=-1) @ x
            elif way == "function":
                out = functional.scaled_dot_product_attention(q, x, x)
            else:
                out = model(x, x[..., :4] if way == "separate" else x, x)[0]
            out.sum().backward()
            optimizer.step()
        model.out = out
        return model

    _, observed = treat(program, ())
    (info,) = observed.attentions.values()
    call = info.call
    model, trace = treat(program, (act("scale-attention", call, factor=0.25),))
    assert [event["target"] for event in trace.applied] == [call]
    assert torch.allclose(model.out, program(0.25).out, atol=1e-6)
    assert not torch.allclose(model.out, program().out, atol=1e-4)


@pytest.mark.parametrize("way", ["function", "module", "half", "beside"])
def test_a_second_softmax_is_left_out(treat, way) -> None:
    def program(times: int = 2) -> nn.Module:
        torch.manual_seed(0)
        model, weigh = nn.Linear(8, 8), nn.Softmax(-1)
        x = torch.randn(3, 5, 8)
        if way == "half":
            model, x = model.bfloat16(), x.bfloat16()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            weights = weigh(model(x) @ x.mT)
            if way == "beside":
                weights = weigh(model(weigh(model(x) @ x.mT) @ x) @ x.mT)
            if times == 2:
                weights = weigh(weights) if way == "module" else torch.softmax(weights, 2)
            loss = (weights @ x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model

    _, observed = treat(program, ())
    (where,) = (place for place in observed.attentions if takes_weights(observed, place))
    symptom = Symptom(code="P704", name="x", severity=1, where=where, message="")
    (target,) = remedies["softmax-once"].targets([symptom], observed)
    assert not list(remedies["scale-attention"].targets([symptom], observed))
    model, trace = treat(program, (act("softmax-once", target),))
    assert [event["target"] for event in trace.applied] == [target]
    assert torch.equal(model.weight, program(1).weight)
    assert not torch.equal(model.weight, program().weight)


@pytest.mark.parametrize("way", ["function", "keyword", "module"])
def test_a_softmax_is_taken_along_the_keys(treat, way) -> None:
    def program(axis: int = 1) -> nn.Module:
        torch.manual_seed(0)
        model, x = nn.Linear(8, 8), torch.randn(3, 5, 8)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            scores = model(x) @ x.mT
            if way == "module":
                weights = nn.Softmax(axis)(scores)
            else:
                weights = scores.softmax(axis) if way == "function" else scores.softmax(dim=axis)
            loss = (weights @ x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model

    _, observed = treat(program, ())
    (target,) = remedies["softmax-over-keys"].targets([], observed)
    model, trace = treat(program, (act("softmax-over-keys", target),))
    assert [event["target"] for event in trace.applied] == [target]
    assert torch.equal(model.weight, program(-1).weight)
    assert not torch.equal(model.weight, program().weight)
    _, right = treat(lambda: program(-1), ())
    assert not list(remedies["softmax-over-keys"].targets([], right))


def test_the_first_factor_brings_the_first_scores_to_one() -> None:
    symptom = Symptom(
        code="P704", name="x", severity=1, where="a", message="", evidence={"first_scale": 40.0}
    )
    action = remedies["scale-attention"].default("softmax@a.py:1", [symptom])
    assert action.params["factor"] == pytest.approx(1 / 40)
    with pytest.raises(ValueError, match="positive"):
        remedies["scale-attention"].apply(None, act("scale-attention", "a@b", factor=0.0))


def test_an_output_is_standardised_over_the_batch(treat) -> None:
    def program() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6))
        with torch.no_grad():
            model[0].weight.mul_(0.1)
            model[0].bias.fill_(1.0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for _ in range(60):
            model.trained = model(3 + torch.randn(32, 4))
            model.trained.sum().backward()
            optimizer.step()
        model.eval()
        model.evaluated = model(3 + torch.randn(256, 4))
        return model

    model, trace = treat(program, (act("spread-output", "0"),))
    assert torch.allclose(model.trained.std(0), torch.ones(6), atol=0.05)
    assert torch.allclose(model.evaluated.std(0), torch.ones(6), atol=0.25)
    assert model.evaluated.mean().abs() < 0.25
    assert [event["target"] for event in trace.applied] == ["0"]


def test_targets_of_a_trace_without_a_stack() -> None:
    assert list(remedies["add-skip"].targets([], Trace())) == []
    assert list(remedies["scale-attention"].targets([], Trace())) == []
    assert list(remedies["softmax-once"].targets([], Trace())) == []
