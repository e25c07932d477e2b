from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import Action, remedies

INPUTS = torch.tensor([[-2.0, 3.0]])


def swap(target: str, to: str = "leaky_relu") -> tuple[Action, ...]:
    return (remedies["R503"].default(target).model_copy(update={"params": {"to": to}}),)


class Model(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.layer, self.act = how, nn.Linear(2, 2), nn.ReLU()
        self.layer.weight.data = torch.eye(2)
        self.layer.bias.data.zero_()
        self.seen = torch.zeros(())

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.layer(inputs)
        if self.how == "module":
            hidden = self.act(hidden)
        elif self.how == "function":
            hidden = functional.relu(hidden)  # here: function
        else:
            functional.relu(hidden, inplace=True)  # here: in place
        self.seen = hidden.detach().clone()
        return hidden


def line_of(how: str) -> str:
    lines = open(__file__).read().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if line.endswith(f"# here: {how}"))
    return f"relu@test_swap_activation.py:{number}"


def program(how: str) -> Model:
    model = Model(how)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    for _ in range(3):
        model(INPUTS).sum().backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("how", ["module", "function", "in place"])
def test_another_function_is_computed(treat, how) -> None:
    target = "act" if how == "module" else line_of(how)
    model, trace = treat(lambda: program(how), swap(target))
    assert model.seen.tolist() == [[pytest.approx(-0.02), 3.0]]
    assert [event["target"] for event in trace.applied] == [target]


def test_other_lines_keep_theirs(treat) -> None:
    model, trace = treat(lambda: program("function"), swap("relu@test_swap_activation.py:1"))
    assert model.seen.tolist() == [[0.0, 3.0]] and not trace.applied


def test_an_unknown_activation_is_refused(treat) -> None:
    with pytest.raises(ValueError, match="unknown activation"):
        treat(lambda: program("module"), swap("act", to="cubic"))


def known() -> Trace:
    places = [("a", "relu", "act.1", None), ("b", "relu", None, "relu@t.py:3")]
    places += [("c", "tanh", None, "tanh@t.py:4"), ("rnn", "rnn_tanh", None, None)]
    return Trace.of(
        {"event": "activation", "where": w, "operation": o, "module": m, "call": c,
         "kind": "rectified" if o == "relu" else "tanh"}
        for w, o, m, c in places
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "where", "targets"),
    [
        ("P701", "b", ["act.1,relu@t.py:3", "relu@t.py:3"]),
        ("P702", "c", ["tanh@t.py:4"]),
        ("P602", "stem", ["tanh@t.py:4"]),
        ("P702", "rnn", ["tanh@t.py:4", ""]),
    ],
)
def test_targets(code, where, targets) -> None:
    symptom = Symptom(code=code, name="x", severity=1, where=where, message="")
    found = list(remedies["R503"].targets([symptom], known()))
    assert found == [target for target in targets if target]
