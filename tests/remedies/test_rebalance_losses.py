"""R201: how each strategy weighs the terms of a loss against one another."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.objective import Objective
from probes.starved_head import StarvedHead
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import Action, remedies
from remedies.balancing.gram import gram_matrix
from remedies.source.errors import Unwritable
from remedies.space import Choice

SICK = Path(__file__).parents[1] / "sick" / "reduction_bias.py"
REMEDY = remedies["rebalance-losses"]
STRATEGIES = REMEDY.space["strategy"]
assert isinstance(STRATEGIES, Choice)
MEASURED = ("equal-gradients", "imtl-g", "mgda", "upgrad", "pcgrad", "aligned-mtl")


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Linear(6, 8)
        self.left, self.right = nn.Linear(8, 2), nn.Linear(8, 30)

    def losses(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk(inputs).tanh()
        near = functional.mse_loss(self.left(hidden), inputs[:, :2])
        far = functional.l1_loss(self.right(hidden), 50 * inputs.repeat(1, 5))
        return near, far


def program(steps: int = 1, scale: float = 1.0) -> nn.Module:
    torch.manual_seed(0)
    model = Heads()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        near, far = model.losses(torch.randn(16, 6))
        loss = scale * (0.7 * near + 0.001 * far)
        model.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def act(strategy: str, target: str = "far") -> Action:
    space = {"strategy": strategy} | ({"factor": 7.0} if strategy == "fixed" else {})
    return REMEDY.default(target).model_copy(update={"params": space})


def grads(trace: Trace) -> list[float]:
    return [trace.signal("train", where, "term.grad").values[0] for where in trace.terms]


@pytest.mark.parametrize("strategy", STRATEGIES.options)
def test_every_strategy_changes_the_training_and_says_so(treat, strategy) -> None:
    if strategy == "upgrad":
        pytest.importorskip("quadprog")
    bare = program(3)
    state = torch.get_rng_state()
    model, trace = treat(lambda: program(3), (act(strategy),))
    assert torch.equal(state, torch.get_rng_state()), "the script's random numbers stay its own"
    changed = not torch.equal(model.trunk.weight, bare.trunk.weight)
    aligned = trace.signal("train", "near|far", "term.cosine").values[0] > 0
    assert changed or (strategy in ("upgrad", "pcgrad") and aligned), "no conflict, no change"
    assert [event["target"] for event in trace.applied] == ["far"]


@pytest.mark.parametrize("strategy", MEASURED)
def test_the_length_of_the_step_stays_the_scripts(treat, strategy) -> None:
    if strategy == "upgrad":
        pytest.importorskip("quadprog")
    before = grads(treat(program, ())[1])
    after = grads(treat(program, (act(strategy),))[1])
    assert sum(after) == pytest.approx(sum(before), rel=1e-3)


def test_equal_gradients_are_equal(treat) -> None:
    before = grads(treat(program, ())[1])
    assert before[0] > 3 * before[1]
    after = grads(treat(program, (act("equal-gradients"),))[1])
    assert after[0] == pytest.approx(after[1], rel=1e-3)


def test_elements_count_by_their_root(treat) -> None:
    before = grads(treat(program, ())[1])
    after = grads(treat(program, (act("elements"),))[1])
    assert after == pytest.approx([before[0], before[1] * math.sqrt(15)], rel=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1 / 4], ids=["alone", "accumulated"])
def test_uncertainty_trains_as_if_written_by_hand(treat, scale) -> None:
    torch.manual_seed(0)
    model, logs = Heads(), nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([*model.parameters(), logs], lr=0.1)
    for _ in range(4):
        terms = torch.stack(model.losses(torch.randn(16, 6)))
        optimizer.zero_grad()
        (scale * (0.5 * (-logs).exp() * terms + 0.5 * logs).sum()).backward()
        optimizer.step()
    treated, _ = treat(lambda: program(4, scale), (act("uncertainty"),))
    assert torch.allclose(treated.trunk.weight, model.trunk.weight, atol=1e-6)
    assert torch.allclose(treated.right.bias, model.right.bias, atol=1e-6)


def test_terms_that_share_nothing_are_left_alone(treat) -> None:
    def apart() -> nn.Module:
        torch.manual_seed(0)
        model = nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 1)])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        near, far = (part(torch.randn(4, 3)).square().mean() for part in model)
        (near + 100 * far).backward()
        optimizer.step()
        return model

    treated, _ = treat(apart, (act("equal-gradients", "far"),))
    assert torch.equal(treated[1].weight, apart()[1].weight)


def test_the_gram_matrix_is_that_of_the_weighted_gradients() -> None:
    from probes.tap.terms import LossTerm

    torch.manual_seed(0)
    model = Heads()
    near, far = model.losses(torch.randn(16, 6))
    loss = 0.7 * near - 2 * far
    terms = [LossTerm(name, None, [t.grad_fn]) for name, t in (("near", near), ("far", far))]
    found = gram_matrix(loss, terms)
    rows = []
    for weight, term in ((0.7, near), (-2.0, far)):
        own = torch.autograd.grad(weight * term, model.trunk.parameters(), retain_graph=True)
        rows.append(torch.cat([part.flatten() for part in own]))
    jacobian = torch.stack(rows).double()
    assert torch.allclose(found, jacobian @ jacobian.T, rtol=1e-5)


def test_the_first_factor_makes_the_gradients_equal_whoever_is_named() -> None:
    shares = {"starved_share": 0.002, "dominant_share": 0.8}
    for code, factor in (("P202", 400.0), ("P201", 1 / 400)):
        named = Symptom(code=code, name="x", severity=1, where="far", message="", evidence=shares)
        action = REMEDY.default("far", [named])
        assert action.params == {"strategy": "fixed", "factor": pytest.approx(factor)}
        near = REMEDY.space_near(action, Trace())["factor"]
        assert (near.low, near.high) == pytest.approx((factor / 100, factor * 100))


@pytest.mark.parametrize("bad", [act("equal-gradients", ""), act("hope")], ids=str)
def test_nonsense_is_refused(treat, bad) -> None:
    with pytest.raises(ValueError, match="needs a loss term"):
        treat(program, (bad,))


def test_what_is_computed_in_every_step_is_advice() -> None:
    for strategy in STRATEGIES.options[1:]:
        assert "far" in REMEDY.advice(act(str(strategy)))
        with pytest.raises(Unwritable):
            REMEDY.rewrite(None, act(str(strategy)))


@pytest.mark.slow
@pytest.mark.long
def test_it_cures_a_script_of_another_kind(run_script) -> None:
    metric = Objective(name="val_depth_error", mode="min")
    for seed in (1, 2):
        control = run_script(SICK, seed=seed)
        assert metric.final(control) > 39
        (symptom,) = (s for s in StarvedHead().read(control, metric) if s.alarming)
        assert (symptom.where, symptom.source) == ("map_error", "reduction_bias.py:52")
        for action in (REMEDY.default("map_error", [symptom]), act("equal-gradients", "map_error")):
            treated = run_script(SICK, treatment=(action,), seed=seed)
            assert metric.final(treated) < 8
            assert not [s for s in StarvedHead().read(treated, metric) if s.alarming]
