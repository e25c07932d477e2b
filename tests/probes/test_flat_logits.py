from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from probes.flat_logits import FlatLogits
from probes.objective import Objective
from probes.trace import Trace
from tests.probes.tap.observing import tapped

ACCURACY = Objective(name="val_acc", mode="max")
EQUAL = math.log(100)


def read(
    make_trace,
    loss=4.4,
    best=1.0,
    spread=(0.1, 0.5, 0.55),
    metric=0.6,
    entropy=EQUAL,
    points=12,
    others=None,
):
    curves = {
        "loss": [loss] * points,
        "equal_loss": [EQUAL] * points,
        "best_loss": [best] * points,
        "factor": [32.0] * points,
        "spread": spread,
    } | (others or {})
    signals = {
        ("train", "train.py:1", f"logits.{name}"): curve for name, curve in curves.items()
    } | {("train", "train.py:1", "label.entropy"): [entropy] * points}
    trace = make_trace(signals, {"val_acc": [0.0, metric, metric, metric]}, terms=("contrast",))
    return list(FlatLogits().read(trace, ACCURACY))


def test_the_loss_cannot_see_what_the_logits_know(make_trace) -> None:
    (symptom,) = read(make_trace)
    assert symptom.severity == pytest.approx(1 - 2 * (EQUAL - 4.4) / (EQUAL - 1.0))
    assert symptom.alarming
    assert (symptom.where, symptom.source) == ("contrast", "train.py:1")
    assert symptom.evidence["factor"] == 32
    assert "multiplied by 32" in symptom.message


def test_where_all_labels_are_the_first_one(make_trace) -> None:
    (symptom,) = read(make_trace, entropy=0.0)
    assert symptom.alarming


def test_a_metric_near_its_best_is_not_harmed(make_trace) -> None:
    (symptom,) = read(make_trace, metric=0.9)
    assert not symptom.alarming


@pytest.mark.parametrize(
    "case",
    [
        {"loss": 3.6, "best": 0.4},
        {"loss": 3.7, "best": 1.0},
        {"loss": 4.4, "best": 2.5},
        {"entropy": 1.9},
        {"spread": (0.1, 0.5, 0.9)},
        {"points": 6},
        {"others": {"loss": [4.4] * 6 + [4.4, 1.0] * 3}},
    ],
    ids=["nats", "reached", "not known", "not of labels", "grows", "few points", "comes and goes"],
)
def test_nothing_is_found(make_trace, case) -> None:
    assert not read(make_trace, **case)


CENTRES = torch.randn(20, 12, generator=torch.Generator().manual_seed(3))


class Program:
    """A classifier of twenty classes, trained under the tap; what is near the fault overrides."""

    rate = 0.05
    decay = 0.0
    smoothing = 0.0
    steps = 240
    wrong = 0.0

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 20))

    def scores(self, model: nn.Module, inputs: Tensor) -> Tensor:
        return model(inputs)

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(scores, labels, label_smoothing=self.smoothing)

    def trained(self) -> Trace:
        with tapped(folder=Path(__file__).parent) as observed:
            self._train()
        return observed.trace

    def _train(self) -> None:
        torch.manual_seed(0)
        model = self.build()
        optimizer = torch.optim.SGD(
            model.parameters(), lr=self.rate, momentum=0.9, weight_decay=self.decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        for _ in range(self.steps):
            labels = torch.randint(20, (64,))
            inputs = CENTRES[labels] + 0.7 * torch.randn(64, 12)
            labels = torch.where(torch.rand(64) < self.wrong, torch.randint(20, (64,)), labels)
            optimizer.zero_grad()
            self.loss(self.scores(model, inputs), labels).backward()
            optimizer.step()
            schedule.step()


class Cosines(Program):
    scale = 1.0

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 32), nn.Linear(32, 20))

    def scores(self, model: nn.Module, inputs: Tensor) -> Tensor:
        codes = functional.normalize(model[:3](inputs), dim=1)
        return self.scale * codes @ functional.normalize(model[3].weight, dim=1).T


class Tempered(Cosines):
    scale = 0.1
    rate = 0.5


class WithScale(Cosines):
    scale = 16.0


class Smoothed(Program):
    smoothing = 0.4


class SlowRate(Program):
    rate = 3e-4


class HeadAtZero(Program):
    """The order of the scores is right from the first step on, and their scale is on its way."""

    rate = 1e-4

    def build(self) -> nn.Module:
        head = nn.Linear(12, 20)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return head


class Decayed(Program):
    decay = 0.1


class WrongLabels(Program):
    wrong = 0.5


class Distilled(Program):
    """A teacher at a high temperature: its targets are nearly equal, too."""

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        wanted = (functional.one_hot(labels, 20) * 4.0 / 10).softmax(1)
        return functional.cross_entropy(scores / 10, wanted)


class Focal(Program):
    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        losses = functional.cross_entropy(scores, labels, reduction="none")
        return ((1 - (-losses).exp()) ** 2 * losses).mean()


class LearnedScale(Cosines):
    def build(self) -> nn.Module:
        model = super().build()
        model.log_scale = nn.Parameter(torch.zeros(()))
        return model

    def scores(self, model: nn.Module, inputs: Tensor) -> Tensor:
        return model.log_scale.exp() * super().scores(model, inputs)


def test_a_scale_that_is_held() -> None:
    (symptom,) = FlatLogits().read(Tempered().trained())
    assert symptom.alarming and symptom.evidence["factor"] >= 32


@pytest.mark.parametrize(
    "program",
    [
        Program, WithScale, Smoothed, SlowRate, HeadAtZero, Decayed, WrongLabels, Distilled, Focal,
        LearnedScale,
    ],
)  # fmt: skip
def test_what_looks_alike(program: type[Program]) -> None:
    assert not list(FlatLogits().read(program().trained()))
