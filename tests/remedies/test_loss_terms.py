"""The remedies that change the weight of a loss term: R201, R202, R203."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from remedies import Action, remedies


def one_step(error_weight: float, size_weight: float) -> nn.Module:
    """A linear model, trained by one step of plain SGD with rate 1 on two terms."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    outputs = model(torch.randn(8, 3))
    error = functional.mse_loss(outputs, torch.zeros(8, 2))
    size = outputs.abs().mean()
    loss = error_weight * error + size_weight * size
    loss.backward()
    optimizer.step()
    return model


def action(name: str, target: str, **params: float) -> Action:
    return remedies[name].default(target).model_copy(update={"params": params})


@pytest.mark.parametrize(
    "treatment, weights",
    [
        (action("rebalance-losses", "size", factor=0.01), (0.5, 0.02)),
        (action("drop-term", "size"), (0.5, 0.0)),
        (action("strengthen-term", "error", factor=20.0), (10.0, 2.0)),
    ],
    ids=lambda value: value.name if isinstance(value, Action) else "",
)
def test_it_trains_as_if_the_script_had_other_weights(treat, treatment, weights) -> None:
    model, trace = treat(lambda: one_step(0.5, 2.0), (treatment,))
    assert torch.allclose(model.weight, one_step(*weights).weight, atol=1e-6)
    assert [event["target"] for event in trace.applied] == [treatment.target]


def test_what_is_measured_is_what_is_trained_on(treat) -> None:
    _, before = treat(lambda: one_step(0.5, 2.0), ())
    _, after = treat(lambda: one_step(0.5, 2.0), (action("rebalance-losses", "size", factor=0.01),))
    gradients = [trace.signal("train", "size", "term.grad").values[0] for trace in (before, after)]
    assert gradients[1] == pytest.approx(0.01 * gradients[0], rel=1e-4)


def test_a_term_that_is_not_there_is_inert(treat) -> None:
    _, trace = treat(lambda: one_step(0.5, 2.0), (action("drop-term", "nothing"),))
    assert not trace.applied


@pytest.mark.parametrize(
    "bad", [action("drop-term", ""), action("rebalance-losses", "a", factor=-1)]
)
def test_nonsense_is_refused(treat, bad) -> None:
    with pytest.raises(ValueError, match="needs a loss term"):
        treat(lambda: one_step(0.5, 2.0), (bad,))


def test_the_dominating_term_is_offered_first(treat) -> None:
    _, trace = treat(lambda: one_step(0.001, 2.0), ())
    assert list(remedies["drop-term"].targets([], trace)) == ["size", "error"]
    assert list(remedies["strengthen-term"].targets([], trace)) == ["error"]
