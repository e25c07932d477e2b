from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from agent.ranking import rank
from probes import Objective, Symptom, Trace, probes
from remedies import Action, remedies

SECOND = Path(__file__).parents[1] / "sick" / "background_collapse.py"


class Inject(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.found = nn.Linear(4, 6)

    def forward(self, cells: Tensor, context: Tensor) -> Tensor:
        return cells + 9 * self.found(context)


class Factors(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Linear(4, 6)

    def forward(self, context: Tensor) -> dict[str, object]:
        return {"down": self.down(context), "names": ("a", self.down(context)), "rank": 1}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch, self.inject = nn.Linear(3, 6), nn.Linear(6, 6), Inject()
        self.factors, self.head = Factors(), nn.Linear(6, 1)
        self.seen: list[dict[str, object]] = []

    def forward(self, inputs: Tensor, context: Tensor) -> Tensor:
        stem = self.stem(inputs)
        hidden = stem + 5 * self.branch(stem)
        out = self.inject(hidden, context)
        given = self.factors(context)
        added, injected = (hidden - stem).detach(), (out - hidden).detach()
        self.seen.append({"added": added, "injected": injected, "given": given})
        return self.head(out + given["down"])


def program(steps: int = 8) -> nn.Module:
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(steps):
        loss = (net(torch.randn(5, 3), torch.randn(5, 4)) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.optimizer = optimizer
    return net


def staged(treat, target: str, **params: object):
    given = {"until": 4.0, "ramp": "hard", "fallback": "skip", **params}
    action = remedies["stage-modules"].default(target).model_copy(update={"params": given})
    return treat(program, (action,))


def sizes(net: nn.Module, name: str) -> list[float]:
    return [float(step[name].abs().mean()) for step in net.seen]


def test_a_branch_adds_nothing_until_its_step_and_learns_nothing(treat) -> None:
    net, trace = staged(treat, "branch")
    assert [size == 0 for size in sizes(net, "added")] == [True] * 4 + [False] * 4
    assert [event["target"] for event in trace.applied] == ["branch"]
    assert trace.signal("train", "branch.weight", "update.norm").steps == [4, 5, 6, 7]


def test_a_ramp_rises_to_the_whole_at_twice_the_step(treat) -> None:
    action = {"until": 2.0, "ramp": "linear"}
    net, _ = staged(treat, "inject", **action)
    plain, _ = treat(program, ())
    first = [size / 9 for size in sizes(net, "injected")]
    assert first[:3] == [0, 0, 0]
    assert 0 < first[3] < 0.75 * sizes(plain, "injected")[3] / 9 < first[4] * 2
    with pytest.raises(ValueError, match="ramp"):
        staged(treat, "inject", ramp="cubic")


def test_an_injector_gives_its_input_until_its_step(treat) -> None:
    net, _ = staged(treat, "inject")
    assert [size == 0 for size in sizes(net, "injected")] == [True] * 4 + [False] * 4


def test_scale_and_shift_from_the_second_input_stand_in_and_are_trained(treat) -> None:
    net, _ = staged(treat, "inject", fallback="film")
    sizes_then = sizes(net, "injected")
    assert sizes_then[0] == 0
    assert all(0 < size < 3 for size in sizes_then[1:4])
    (group,) = net.optimizer.param_groups
    known = {id(parameter) for parameter in net.parameters()}
    film = [parameter for parameter in group["params"] if id(parameter) not in known]
    assert [tuple(parameter.shape) for parameter in film] == [(12, 4), (12,)]
    assert all(parameter.abs().max() > 0 for parameter in film)
    assert all(parameter.grad is None for parameter in film)


def test_a_structure_of_tensors_becomes_zeros_of_the_same_structure(treat) -> None:
    net, _ = staged(treat, "factors")
    given = net.seen[0]["given"]
    assert list(given) == ["down", "names", "rank"]
    assert not given["down"].any() and not given["names"][1].any()
    assert (given["names"][0], given["rank"]) == ("a", 1)
    assert net.seen[-1]["given"]["down"].any()


def test_names_and_state_stay_what_they_are(treat) -> None:
    net, _ = staged(treat, "branch,inject,factors", fallback="film")
    assert net.state_dict().keys() == Net().state_dict().keys()


def test_all_loud_branches_together_then_each_alone(treat) -> None:
    _, trace = treat(lambda: program(40), ())
    symptom = Symptom(code="P501", name="x", severity=1, where="loss", message="")
    remedy = remedies["stage-modules"]
    assert list(remedy.targets([symptom], trace))[0] == "inject,branch"
    assert set(remedy.targets([symptom], trace)) == {"inject,branch", "inject", "branch"}
    first = rank([remedy], [symptom], trace)[0].action
    assert first.params == {"until": 12.0, "ramp": "linear", "fallback": "film"}
    assert list(remedy.targets([symptom], Trace())) == []


@pytest.mark.long
@pytest.mark.slow
def test_it_cures_a_segmenter_whose_mixers_are_loud(run_script) -> None:
    action = Action(
        remedy="R501",
        name="stage-modules",
        target="stages.0.mixer,stages.1.mixer,stages.2.mixer",
        params={"until": 72.0, "ramp": "linear"},
    )
    for seed in (0, 1):
        sick = run_script(SECOND, seed=seed)
        cured = run_script(SECOND, seed=seed, treatment=(action,))
        metric = Objective.infer(sick)
        assert metric is not None and metric.name == "val_iou"
        assert metric.final(sick) < 0.05 < 0.6 < metric.final(cured)
        before, after = (
            {s.code for probe in probes for s in probe.read(trace, metric) if s.alarming}
            for trace in (sick, cured)
        )
        assert "P501" in before and not after
        together = next(iter(remedies["R501"].targets([], sick)))
        assert set(together.split(",")) == set(action.targets)
