"""R801 to R806: the life cycle of training, put right from outside."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.cut_recurrence import CutRecurrence
from probes.symptom import Symptom
from remedies import Action, remedies

INPUTS = torch.arange(24.0).reshape(6, 4) / 24


def action(code: str, target: str = "", **params) -> tuple[Action, ...]:
    found = remedies[code].default(target)
    return (found.model_copy(update={"params": found.params | params}),)


def loop(order: str, steps: int = 5) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        for letter in order:
            match letter:
                case "f":
                    loss = model(INPUTS).square().mean()
                case "b":
                    loss.backward()
                case "s":
                    optimizer.step()
                case "z":
                    optimizer.zero_grad()
    return model


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize(("order", "cured"), [("fbs", "zfbs"), ("fbfbs", "zfbfbs")])
def test_gradients_are_cleared_between_steps(treat, order, cured) -> None:
    model, trace = treat(lambda: loop(order), action("R801"))
    assert torch.equal(weights(model), weights(loop(cured)))
    assert not torch.equal(weights(model), weights(loop(order)))
    assert len(trace.applied) == 1


@pytest.mark.parametrize("order", ["fbzs", "zfsb"])
def test_what_was_cleared_too_early_is_used(treat, order) -> None:
    model, trace = treat(lambda: loop(order), action("R805"))
    assert torch.equal(weights(model), weights(loop("zfbs")))
    assert torch.equal(weights(loop(order)), weights(loop("f")))
    assert len(trace.applied) == 1


def test_an_orderly_loop_is_left_alone(treat) -> None:
    model, trace = treat(lambda: loop("zfbs"), action("R805"))
    assert torch.equal(weights(model), weights(loop("zfbs")))
    assert not trace.applied


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5))
        self.head = nn.Linear(5, 1)
        self.cut = False

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.body(inputs)
        return self.head(hidden.detach() if self.cut else hidden)


def train(everything: bool = True, cut: bool = False, mode: bool = True, rate: float = 1.0):
    torch.manual_seed(0)
    model = Parts()
    model.cut = cut
    model.train(mode)
    optimizer = torch.optim.SGD((model if everything else model.head).parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, rate)
    for _ in range(6):
        optimizer.zero_grad()
        model(INPUTS).square().mean().backward()
        optimizer.step()
        schedule.step()
    return model


def test_what_was_left_out_joins_the_optimizer(treat) -> None:
    _, trace = treat(lambda: train(everything=False), ())
    symptom = Symptom(code="P802", name="x", severity=1, where="body", message="")
    (target,) = remedies["R802"].targets([symptom], trace)
    assert target == "body"
    model, trace = treat(lambda: train(everything=False), action("R802", target))
    assert torch.equal(weights(model), weights(train()))
    assert [event["target"] for event in trace.applied] == ["body"]


def test_another_module_does_not_join(treat) -> None:
    model, trace = treat(lambda: train(everything=False), action("R802", "elsewhere"))
    assert torch.equal(weights(model), weights(train(everything=False)))
    assert not trace.applied


def test_a_model_is_trained_in_training_mode(treat) -> None:
    model, trace = treat(lambda: train(mode=False), action("R803", "Parts"))
    assert torch.equal(weights(model), weights(train()))
    assert not torch.equal(weights(model), weights(train(mode=False)))
    assert len(trace.applied) == 1
    assert not treat(train, action("R803", "Parts"))[1].applied


def test_a_detached_tensor_stays_in_the_graph(treat) -> None:
    _, trace = treat(lambda: train(cut=True), ())
    (target,) = remedies["R804"].targets([], trace)
    assert target.startswith("body.0.weight@")
    model, trace = treat(lambda: train(cut=True), action("R804", target))
    assert torch.equal(weights(model), weights(train()))
    assert len(trace.applied) == 1


class Reader(nn.Module):
    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.cell, self.head = nn.RNNCell(1, 5), nn.Linear(5, 1)
        self.cut = cut

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        state = inputs.new_zeros(len(inputs), 5)
        for column in inputs.split(1, dim=1):
            state = self.cell(column, state.detach() if self.cut else state)
        return self.head(state)


def read(cut: bool) -> nn.Module:
    torch.manual_seed(0)
    model = Reader(cut)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        loss = model(INPUTS).square().mean()
        logged = loss.detach()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert logged > 0
    return model


def test_a_state_that_is_detached_at_every_position_stays_in_the_graph(treat) -> None:
    _, trace = treat(lambda: read(cut=True), ())
    nothing = {"code": "P352", "name": "x", "severity": 1, "where": "loss", "message": ""}
    learned, dropped = ({"skill": 0.0}, {"share": 0.9})
    (target,) = remedies["R804"].targets([Symptom(**nothing, evidence=learned)], trace)
    assert target.startswith("detach@")
    assert not list(remedies["R804"].targets([Symptom(**nothing, evidence=dropped)], trace))
    model, trace = treat(lambda: read(cut=True), action("R804", target))
    assert torch.equal(weights(model), weights(read(cut=False)))
    assert not torch.equal(weights(model), weights(read(cut=True)))
    assert len(trace.applied) == 1


def listen(cut: bool, carried: bool = True) -> nn.Module:
    """Goes on with the state of an LSTM cell from step to step, where it is carried."""
    torch.manual_seed(0)
    cell = nn.LSTMCell(4, 5)
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
    state = torch.zeros(6, 5), torch.zeros(6, 5)
    for _ in range(4):
        if not cut or not carried:
            state = tuple(part.detach() * carried for part in state)
        for _ in range(6):
            h, c = state
            if cut:
                h = h.detach()
                c = c.detach()
            state = cell(INPUTS, (h, c))
        optimizer.zero_grad()
        state[0].square().mean().backward()
        optimizer.step()
    return cell


@pytest.mark.parametrize("carried", [False, True])
def test_a_state_that_goes_around_stays_in_the_graph_within_a_step(treat, carried) -> None:
    _, trace = treat(lambda: listen(True, carried), ())
    symptoms = list(CutRecurrence().read(trace))
    together, one, other = remedies["R804"].targets(symptoms, trace)
    assert together == f"{one},{other}"
    assert list(remedies["R804"].targets(symptoms[:1], trace)) == [one]
    model, trace = treat(lambda: listen(True, carried), action("R804", together))
    assert torch.equal(weights(model), weights(listen(False, carried)))
    assert not torch.equal(weights(model), weights(listen(True, carried)))
    assert trace.applied


def centred(everywhere: bool) -> nn.Module:
    """Centres features by a running mean, which is all that should be detached."""
    torch.manual_seed(0)
    body, head = nn.Sequential(nn.Linear(4, 5), nn.Tanh()), nn.Linear(5, 1)
    second = torch.optim.SGD(head.parameters(), lr=0.1)
    first = torch.optim.SGD(body.parameters(), lr=0.1)
    mean = torch.zeros(5)
    for _ in range(6):
        features = body(INPUTS)
        still = features.detach()
        mean = 0.5 * mean + 0.5 * still.mean(0)
        loss = head((still if everywhere else features) - mean).square().mean()
        first.zero_grad()
        second.zero_grad()
        loss.backward()
        second.step()
        first.step()
    return nn.ModuleList([body, head])


def test_what_a_later_step_still_uses_leaves_the_graph_then(treat) -> None:
    _, trace = treat(lambda: centred(True), ())
    (target,) = remedies["R804"].targets([], trace)
    model, trace = treat(lambda: centred(True), action("R804", target))
    assert trace.applied and all(weights(model).isfinite())
    assert not torch.equal(weights(model[0]), weights(centred(True)[0]))


def test_a_graph_that_two_players_share_stays(treat) -> None:
    """The second player's loss goes through what was made before the first one's step."""

    def play(cut: bool = True) -> nn.Module:
        torch.manual_seed(0)
        maker, judge, extra = nn.Linear(4, 4), nn.Linear(4, 1), nn.Linear(4, 4)
        players = [maker, judge]
        steps = [torch.optim.SGD(player.parameters(), lr=0.1) for player in players]
        steps[0].add_param_group({"params": extra.parameters()})
        for _ in range(4):
            hidden = extra(INPUTS)
            made = maker(hidden.detach() if cut else hidden)
            for player, sign in ((1, 1.0), (0, -1.0)):
                shown = made.clone().detach_() if player else made
                loss = sign * judge(shown).square().mean()
                steps[player].zero_grad()
                loss.backward()
                steps[player].step()
        return nn.ModuleList([maker, judge, extra])

    _, trace = treat(play, ())
    (target,) = remedies["R804"].targets([], trace)
    model, _ = treat(play, action("R804", target))
    assert torch.equal(weights(model), weights(play(cut=False)))


@pytest.mark.parametrize(
    ("params", "rate"), [({"how": "hold"}, 1.0), ({"how": "slower", "every": 100.0}, 1.0)]
)
def test_a_schedule_stands_still(treat, params, rate) -> None:
    model, trace = treat(lambda: train(rate=0.5), action("R806", **params))
    assert torch.equal(weights(model), weights(train(rate=rate)))
    assert not torch.equal(weights(model), weights(train(rate=0.5)))
    assert len(trace.applied) == 1


def test_a_schedule_that_moves_in_every_step_is_as_it_was(treat) -> None:
    model, _ = treat(lambda: train(rate=0.5), action("R806", how="slower", every=1.0))
    assert torch.equal(weights(model), weights(train(rate=0.5)))


@pytest.mark.parametrize("params", [{"how": "backwards"}, {"how": "slower", "every": 0.5}])
def test_parameters_that_make_no_sense(treat, params) -> None:
    with pytest.raises(ValueError):
        treat(lambda: train(), action("R806", **params))
