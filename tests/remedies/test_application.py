"""A stored treatment on a model in production: the same numbers as in the trial."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from remedies import Action, NotApplicable, apply, remedies

STORED = Path(__file__).parents[1] / "agent" / "fixed.json"


class Mixer(nn.Module):
    """Adds to a stream what it finds in a second input."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(12, 12)

    def forward(self, stream: Tensor, context: Tensor) -> Tensor:
        return stream + self.mix(context)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rough = nn.Linear(6, 6).bfloat16()
        self.door = nn.Linear(6, 12)
        self.squash = nn.ReLU()
        self.norm = nn.BatchNorm1d(12)
        self.blocks = nn.ModuleList([nn.Linear(12, 12), nn.Linear(12, 12)])
        self.mixer = Mixer()
        self.head = nn.Linear(12, 3)

    def forward(self, rows: Tensor) -> Tensor:
        rows = rows + self.rough(rows.bfloat16()).float()
        stream = self.norm(self.squash(self.door(rows)))
        for block in self.blocks:
            stream = stream + block(stream)
        return self.head(self.mixer(stream, stream.roll(1, 0)))


def act(remedy: str, target: str, **params: Any) -> Action:
    return Action(remedy=remedy, name=remedies[remedy].name, target=target, params=params)


def program(*treatment: Action) -> nn.Module:
    """Trains a model, evaluating between its steps; treated in the way of production."""
    torch.manual_seed(7)
    model: nn.Module = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.3)
    if treatment:
        model = apply(treatment, model, optimizer)
    rows, wanted = 3 * torch.randn(32, 6) + 5, torch.randint(3, (32,))
    values = []
    for _ in range(6):
        model.train()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(rows), wanted).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            values.append(model(rows))
    model.register_buffer("said", torch.stack(values))
    return model


APPLICABLE = [
    act("R101", "norm", to="layer"),
    act("R102", "norm", how="cumulative"),
    act("R103", "mixer", kind="rms"),
    act("R104", "blocks.0", kind="layer"),
    act("R105", "door,blocks.0", kind="layer"),
    act("R301", "", factor=0.1),
    act("R305", "", max_norm=0.01),
    act("R306", "", steps=4.0),
    act("R308", "", to=0.0),
    act("R311", "head", share=0.5),
    act("R312", "", momentum=0.5),
    act("R314", ""),
    act("R401", "mixer", strength=0.2),
    act("R501", "mixer", until=2.0, ramp="linear", fallback="film"),
    act("R503", "squash", to="gelu"),
    act("R504", "", scheme="orthogonal"),
    act("R602", "blocks.0,blocks.1", by="depth"),
    act("R602", "blocks.0,blocks.1", by="zero"),
    act("R603", "blocks.0,blocks.1"),
    act("R606", "mixer", eps=1e-5),
    act("R901", "door", statistics="shared"),
]


@pytest.mark.parametrize("action", APPLICABLE, ids=str)
def test_a_treated_model_computes_what_the_treated_trial_computed(treat, action) -> None:
    in_trial, trace = treat(program, (action,))
    assert [event["remedy"] for event in trace.applied][:1] == [action.remedy]
    for_good, untreated = program(action), program()
    assert torch.equal(in_trial.said, for_good.said)
    assert not torch.equal(untreated.said, for_good.said)


def test_every_remedy_that_says_so_is_among_these() -> None:
    reaching = {remedy.code for remedy in remedies if remedy.reach != "script"}
    assert reaching == {action.remedy for action in APPLICABLE}


ELSEWHERE = [remedy for remedy in remedies if remedy.reach == "script"]


@pytest.mark.parametrize("remedy", ELSEWHERE, ids=lambda remedy: remedy.name)
def test_what_acts_on_loop_loss_or_data_is_refused_with_what_to_do(remedy) -> None:
    action = remedy.default("loss")
    with pytest.raises(NotApplicable, match="cannot be applied to a model by itself") as raised:
        apply([action], Net())
    assert remedy.advice(action) in str(raised.value)


def test_nothing_is_changed_where_a_part_cannot_be() -> None:
    model = Net()
    with pytest.raises(NotApplicable, match="optimizer"):
        apply([act("R101", "norm", to="rms"), act("R301", "", factor=0.1)], model)
    with pytest.raises(ValueError, match="no module 'encoder'"):
        apply([act("R101", "norm", to="rms"), act("R103", "encoder", kind="rms")], model)
    with pytest.raises(NotApplicable, match="lines of the script"):
        apply([act("R101", "norm", to="rms"), act("R503", "relu@train.py:4", to="gelu")], model)
    assert isinstance(model.norm, nn.BatchNorm1d)


def test_a_new_number_needs_the_optimizer() -> None:
    with pytest.raises(NotApplicable, match="give the optimizer"):
        apply(act("R602", "blocks.0,blocks.1", by="zero"), Net())


def test_it_is_read_from_whatever_it_is_stored_in(tmp_path: Path) -> None:
    action = act("R101", "norm", to="rms").model_dump()
    diagnosis = {"schema_version": 1, "fix": {"treatment": [action]}}
    file = tmp_path / "diagnosis.json"
    file.write_text(json.dumps(diagnosis))
    for stored in ([action], action, json.dumps([action]), diagnosis, diagnosis["fix"], file):
        model = Net()
        assert apply(stored, model) is model
        assert type(model.norm).__name__ == "StandInNorm"
    assert type(apply(str(file), Net()).norm).__name__ == "StandInNorm"


def test_the_model_itself_can_be_swapped_and_goes_by_its_class() -> None:
    swapped = apply(act("R101", "BatchNorm1d", to="rms"), nn.BatchNorm1d(4))
    assert type(swapped).__name__ == "StandInNorm"
    second = Net()
    apply(act("R101", "Net#2:norm", to="rms"), second)
    assert type(second.norm).__name__ == "StandInNorm"


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"fix": None}, "no confirmed fix"),
        ("[1", "no JSON"),
        ([{"name": "swap-norm"}], "no treatment"),
        (3, "no treatment"),
        ("absent.json", "cannot read absent.json"),
    ],
    ids=str,
)
def test_what_is_no_treatment_is_refused(stored, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        apply(stored, Net())


def test_a_diagnosis_that_was_written_by_the_command_can_be_applied() -> None:
    fix = json.loads(STORED.read_text())["fix"]
    (action,) = fix["treatment"]
    model = nn.Module()
    for path in action["target"].split(","):
        below = model
        *parents, name = path.split(".")
        for parent in parents:
            if not hasattr(below, parent):
                below.add_module(parent, nn.Module())
            below = getattr(below, parent)
        below.add_module(name, nn.BatchNorm1d(8))
    apply(STORED, model)
    kinds = {type(model.get_submodule(path)).__name__ for path in action["target"].split(",")}
    assert kinds == {"StandInNorm"}


def test_it_needs_none_of_the_engines() -> None:
    code = (
        "import sys; from torch import nn; from remedies import apply; "
        "net = nn.Sequential(nn.BatchNorm1d(4)); "
        'apply(\'[{"remedy": "R101", "name": "swap-norm", "target": "0", '
        '"params": {"to": "rms"}}]\', net); '
        "print({name.split('.')[0] for name in sys.modules}"
        " & {'agent', 'ray', 'mlflow', 'optuna', 'libcst'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n", done.stdout
