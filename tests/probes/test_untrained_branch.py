from __future__ import annotations

import pytest

from probes.untrained_branch import UntrainedBranch

MODULES = [{"where": "inject", "type": "Inject", "parent": "", "source": "train.py:7"}]


def branch(where: str, ratios: list[float], update: float = 0.0, inputs: int = 0) -> dict:
    made = {
        ("train", where, "branch.ratio"): ratios,
        ("train", f"{where}.weight", "weight.norm"): [1.0] * 21,
        ("train", f"{where}.weight", "update.norm"): [update] * 21,
    }
    if inputs:
        made["train", where, "branch.inputs"] = [float(inputs)] * 21
    return made


def read(make_trace, signals):
    return list(UntrainedBranch().read(make_trace(signals, modules=MODULES)))


def test_a_random_module_that_outweighs_its_stream(make_trace) -> None:
    (symptom,) = read(make_trace, branch("inject", [4.0] * 21))
    assert (symptom.where, symptom.source) == ("inject", "train.py:7")
    assert symptom.severity == 0.3
    assert symptom.evidence == {"ratio": 4.0, "random_until": 100.0}


@pytest.mark.parametrize("update, found", [(0.0001, True), (0.01, False)], ids=str)
def test_only_the_time_in_which_its_weights_are_random_counts(make_trace, update, found) -> None:
    ratios = [0.2] * 5 + [4.0] * 16
    assert bool(read(make_trace, branch("inject", ratios, update))) == found


def test_a_quiet_branch_is_nothing(make_trace) -> None:
    assert not read(make_trace, branch("inject", [0.4] * 21))


def test_the_loudest_comes_first(make_trace) -> None:
    signals = branch("quiet", [2.0] * 21) | branch("inject", [4.0] * 21)
    assert [symptom.where for symptom in read(make_trace, signals)] == ["inject", "quiet"]


def test_a_module_that_adds_within_itself_stands_for_the_part_that_is_added(make_trace) -> None:
    signals = branch("inject.attention", [4.0] * 21) | branch("inject", [4.0] * 21, inputs=2)
    assert [symptom.where for symptom in read(make_trace, signals)] == ["inject"]
