"""The loss that a line computes: other classes, weights, labels, units."""

from __future__ import annotations

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable

TEXT = """\
import torch
from torch import nn
from torch.nn import functional as F

{0}
for x, y in loader:
    loss = {1}
    loss.backward()
"""
LOSS = {"where": "loss", "source": "train.py:7", "operation": "cross_entropy"}


def lines(rewrite, facts, made: str, loss: str, remedy: str, signals, **params) -> list[str]:
    text = TEXT.format(made, loss)
    after = rewrite(text, remedy, "loss", facts(None, signals, term=LOSS), **params)
    return [line.strip() for line in after.splitlines() if line not in text.splitlines()]


@pytest.mark.parametrize(
    ("made", "loss", "after"),
    [
        (
            "judge = nn.MSELoss()",
            "judge(F.softmax(net(x), dim=-1), y)",
            ["judge = nn.CrossEntropyLoss()", "loss = judge(net(x), y)"],
        ),
        ("", "F.mse_loss(net(x).softmax(1), y)", ["loss = F.cross_entropy(net(x), y)"]),
    ],
)
def test_a_squared_error_of_a_softmax(rewrite, facts, made, loss, after) -> None:
    signals = {("train.py:7|train.py:7|softmax|mse_loss", "loss.class_targets"): 1.0}
    assert lines(rewrite, facts, made, loss, "R812", signals) == after


def test_a_sigmoid_stays_and_has_the_loss_of_probabilities(rewrite, facts) -> None:
    signals = {("train.py:7|train.py:5|sigmoid|mse_loss", "loss.class_targets"): 1.0}
    after = lines(rewrite, facts, "", "F.mse_loss(net(x), y)", "R812", signals)
    assert after == ["loss = F.binary_cross_entropy(net(x), y)"]


@pytest.mark.parametrize(
    ("made", "loss"),
    [
        ("judge = nn.MSELoss(reduction='sum')", "judge(net(x).softmax(1), y)"),
        ("judge = nn.L1Loss()", "judge(net(x).softmax(1), y)"),
        ("judge = nn.MSELoss()", "judge(net(x).softmax(0), y)"),
        ("judge = nn.MSELoss()", "judge(net(x), y)"),
        ("judge = nn.MSELoss()\njudge = other", "judge(net(x).softmax(1), y)"),
        ("", "((net(x).softmax(1) - y) ** 2).mean()"),
    ],
)
def test_another_loss_or_softmax_is_not_written(rewrite, facts, made, loss) -> None:
    signals = {("train.py:7|train.py:7|softmax|mse_loss", "loss.class_targets"): 1.0}
    with pytest.raises(Unwritable):
        lines(rewrite, facts, made, loss, "R812", signals)


SHARES = {("train.py:7", "label.share.0"): 0.8, ("train.py:7", "label.share.1"): 0.2}


@pytest.mark.parametrize(
    ("made", "loss", "power", "after"),
    [
        (
            "judge = nn.CrossEntropyLoss()",
            "judge(net(x), y)",
            "inverse",
            "judge = nn.CrossEntropyLoss(weight=torch.tensor([0.625, 2.5]))",
        ),
        (
            "judge = nn.BCEWithLogitsLoss()",
            "judge(net(x), y)",
            "root",
            "judge = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.0))",
        ),
        (
            "",
            "F.cross_entropy(net(x), y, label_smoothing=0.1)",
            "inverse",
            "loss = F.cross_entropy(net(x), y, label_smoothing=0.1, "
            "weight=torch.tensor([0.625, 2.5]))",
        ),
    ],
)
def test_rare_classes_get_more_weight(rewrite, facts, made, loss, power, after) -> None:
    assert lines(rewrite, facts, made, loss, "R902", SHARES, power=power) == [after]


@pytest.mark.parametrize(
    ("made", "loss", "shares"),
    [
        ("judge = nn.CrossEntropyLoss(weight=w)", "judge(net(x), y)", SHARES),
        ("judge = nn.CrossEntropyLoss(w)", "judge(net(x), y)", SHARES),
        ("judge = nn.BCELoss()", "judge(net(x), y)", SHARES),
        ("judge = nn.CrossEntropyLoss().to(device)", "judge(net(x), y)", SHARES),
        ("device = 'cuda'", "F.cross_entropy(net(x).to(device), y)", SHARES),
        ("judge = nn.CrossEntropyLoss()", "judge(net(x), y)", {}),
    ],
)
def test_weights_that_may_be_wrong_are_not_written(rewrite, facts, made, loss, shares) -> None:
    with pytest.raises(Unwritable):
        lines(rewrite, facts, made, loss, "R902", shares, power="inverse")


def test_weights_that_are_upside_down_are_written_anew(rewrite, facts) -> None:
    made = "judge = nn.CrossEntropyLoss(weight=w)"
    weights = {("train.py:7", "label.weight.0"): 1.6, ("train.py:7", "label.weight.1"): 0.4}
    found = lines(rewrite, facts, made, "judge(net(x), y)", "R902", SHARES | weights, power="root")
    assert found == ["judge = nn.CrossEntropyLoss(weight=torch.tensor([0.791, 1.58]))"]


@pytest.mark.parametrize(
    ("low", "high", "labels", "after"),
    [
        (1, 2, "y.float()", "y.float() - 1"),
        (-1, 1, "y", "(y + 1) / 2"),
        (0, 255, "mask + 0", "(mask + 0) / 255"),
    ],
)
def test_labels_come_in_as_zero_and_one(rewrite, facts, low, high, labels, after) -> None:
    signals = {("train.py:7", "label.lowest"): low, ("train.py:7", "label.highest"): high}
    call = "F.binary_cross_entropy_with_logits(net(x), {0})"
    found = lines(rewrite, facts, "", call.format(labels), "R903", signals)
    assert found == [f"loss = {call.format(after)}"]


@pytest.mark.parametrize(
    ("made", "loss", "after"),
    [
        ("", "F.soft_margin_loss(net(x), y)", "F.soft_margin_loss(net(x), 2 * y - 1)"),
        (
            "judge = nn.CosineEmbeddingLoss(margin=0.3)",
            "judge(net(a), net(b), same.float())",
            "judge(net(a), net(b), 2 * same.float() - 1)",
        ),
    ],
)
def test_labels_come_in_as_minus_one_and_one(rewrite, facts, made, loss, after) -> None:
    signals = {("train.py:7", "label.lowest"): 0, ("train.py:7", "label.highest"): 1}
    assert lines(rewrite, facts, made, loss, "R903", signals) == [f"loss = {after}"]


HEAD = """\
class Net:
    def forward(self, x):
        return self.price(self.body(x)){0}
"""


@pytest.mark.parametrize(
    ("end", "mean", "after"),
    [
        ("", 30.0, "return 5.0 * self.price(self.body(x)) + 30.0"),
        (".squeeze(1)", -7.0, "return (5.0 * self.price(self.body(x)) - 7.0).squeeze(1)"),
    ],
)
def test_the_output_layer_speaks_in_units_of_the_targets(rewrite, facts, end, mean, after) -> None:
    signals = {("train.py:9", "target.mean"): mean, ("train.py:9", "target.std"): 5.0}
    loop = {"where": "optimizer", "type": "Adam"}
    trace = facts(None, signals, loop=loop)
    assert after in rewrite(HEAD.format(end), "R907", "price", trace)
    with pytest.raises(Unwritable):
        rewrite(
            HEAD.format(end), "R907", "price", facts(None, signals, loop={**loop, "type": "SGD"})
        )
    with pytest.raises(Unwritable):
        rewrite(HEAD.format(end) + "    y = self.price(1)\n", "R907", "price", trace)


@pytest.mark.parametrize(
    ("made", "loss", "after"),
    [
        ("", "F.huber_loss(net(x), y, delta=0.5)", "loss = F.huber_loss(net(x), y, delta=0.05)"),
        ("judge = nn.SmoothL1Loss()", "judge(net(x), y)", "judge = nn.SmoothL1Loss(beta=0.1)"),
    ],
)
def test_the_threshold_of_a_huber_loss(rewrite, facts, made, loss, after) -> None:
    assert lines(rewrite, facts, made, loss, "R204", {}, factor=0.1) == [after]
    with pytest.raises(Unwritable):
        lines(rewrite, facts, made, "F.mse_loss(net(x), y)", "R204", {}, factor=0.1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("nn.CTCLoss()", "nn.CTCLoss(blank=5)"),
        ("nn.CTCLoss(0, zero_infinity=True)", "nn.CTCLoss(5, zero_infinity=True)"),
    ],
)
def test_the_blank_of_a_loss(rewrite, before, after) -> None:
    text = "from torch import nn\nctc = {}\nloss = ctc(scores, labels, columns, lengths)\n"
    rows = [["train.py:3", "label.classes", 6.0]]
    trace = Trace.of([{"event": "signals", "step": 1, "phase": "train", "rows": rows}])
    assert rewrite(text.format(before), "R904", "train.py:3", trace) == text.format(after)
