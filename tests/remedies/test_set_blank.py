from __future__ import annotations

import pytest
import torch
from torch import nn

from probes.symptom import Symptom
from probes.trace import Trace
from remedies import remedies
from tests.remedies.training import place_of

HERE = "test_set_blank.py"


def program(blank: int, function: bool = False):
    def run() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Linear(4, 6)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        labels, lengths = torch.randint(5, (3, 4)), torch.full((3,), 4)
        given = model(torch.randn(12, 3, 4)).log_softmax(-1), labels, torch.full((3,), 12), lengths
        if function:
            loss = nn.functional.ctc_loss(*given, blank=blank)  # a function
        else:
            loss = nn.CTCLoss(blank)(*given)  # a module
        loss.backward()
        optimizer.step()
        return model

    return run


def line(function: bool) -> str:
    return place_of(__file__, "  # a function" if function else "  # a module")


@pytest.mark.parametrize("function", [False, True])
def test_the_last_output_is_the_blank(treat, function: bool) -> None:
    model, trace = treat(program(0, function), (remedies["R904"].default(line(function)),))
    right, _ = treat(program(5, function), ())
    assert torch.equal(model.weight, right.weight)
    assert [event["target"] for event in trace.applied] == [line(function)]


def test_what_has_it_already_and_other_lines_are_left_alone(treat) -> None:
    for blank, place in ((5, line(False)), (0, f"{HERE}:1")):
        assert not treat(program(blank), (remedies["R904"].default(place),))[1].applied


def test_a_line_must_be_told(treat) -> None:
    with pytest.raises(ValueError, match="line"):
        treat(program(0), (remedies["R904"].default(""),))


@pytest.mark.parametrize(("highest", "targets"), [(4.0, ["train.py:9"]), (5.0, [])])
def test_the_last_output_must_be_no_label(highest: float, targets: list[str]) -> None:
    names = {"blank": 0.1, "classes": 6.0, "highest": highest}
    rows = [["train.py:9", f"label.{name}", value] for name, value in names.items()]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": rows}])
    symptom = Symptom(
        code="P903", name="x", severity=1, where="loss", source="train.py:9", message=""
    )
    assert list(remedies["R904"].targets([symptom], trace)) == targets
