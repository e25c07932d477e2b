import math

import pytest

from probes.tap.printed import Parser, parse

LINES = [
    ("epoch 3 train_loss=0.52 val_acc=0.87", {"train_loss": 0.52, "val_acc": 0.87}),
    (
        "Epoch 3: loss 0.52, val loss 0.61, acc 87.2%",
        {"loss": 0.52, "val_loss": 0.61, "acc": 87.2},
    ),
    ("step 100: train loss 2.3012, val loss 2.4", {"train_loss": 2.3012, "val_loss": 2.4}),
    ("iter 10: loss 2.31, time 30.1ms", {"loss": 2.31, "time": 30.1}),
    ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.21", {"train_loss": 2.21}),
    (
        "Test set: Average loss: 0.0309, Accuracy: 9903/10000 (99%)",
        {"test_average_loss": 0.0309, "test_accuracy": 0.9903},
    ),
    ("Epoch [1/10], Step [100/600], Loss: 0.1234", {"loss": 0.1234}),
    ("[1,  2000] loss: 2.212", {"loss": 2.212}),
    ("{'loss': 0.4, 'eval_accuracy': 0.91, 'epoch': 1}", {"loss": 0.4, "eval_accuracy": 0.91}),
    ('{"loss": 0.4, "val": {"acc": 0.3}, "note": "x"}', {"loss": 0.4, "val/acc": 0.3}),
    ("{'loss': '0.4', 'grad_norm': '1.5'}", {"loss": 0.4, "grad_norm": 1.5}),
    ("loss: inf", {"loss": math.inf}),
    ("step=40 loss=4.7671 R@1=0.75 R@5=0.9", {"loss": 4.7671, "r@1": 0.75, "r@5": 0.9}),
    ("loss 0.3 success rate 0.42", {"loss": 0.3, "success_rate": 0.42}),
    ("loss=0.3 learning rate 0.42", {"loss": 0.3}),
    ("acc=0.5 still rising", {"acc": 0.5}),
    ("loss: -1e-3", {"loss": -0.001}),
    (
        "| epoch 1 | 200/2983 batches | lr 5.00 | ms/batch 12.3 | loss 8.1 | ppl 3334.5",
        {"lr": 5.0, "ms/batch": 12.3, "loss": 8.1, "ppl": 3334.5},
    ),
    ("2025-01-01 12:00:00 INFO: val_acc=0.8", {"val_acc": 0.8}),
    ("2025-01-01 12:00:00,123 - train - INFO - val_acc=0.8", {"val_acc": 0.8}),
    ("INFO:root:Epoch 1: val_acc 0.8", {"val_acc": 0.8}),
    (
        "Epoch 1:  50%|#####     | 5/10 [00:01<00:01,  4.9it/s, loss=0.52, acc=0.8]",
        {"loss": 0.52, "acc": 0.8},
    ),
    ("Accuracy of the network on the 10000 test images: 54 %", {"test_accuracy": 54.0}),
    (
        "Train: loss 0.5 acc 0.8 | Val: loss 0.6 acc 0.7",
        {"train_loss": 0.5, "train_acc": 0.8, "val_loss": 0.6, "val_acc": 0.7},
    ),
    ("[val] loss: 0.3", {"val_loss": 0.3}),
    ("Loss (train): 0.5", {"train_loss": 0.5}),
    ("loss: tensor(0.5234, grad_fn=<NllLossBackward0>)", {"loss": 0.5234}),
    ("Epoch 1/10 - loss: 0.5 - val_loss: 0.6", {"loss": 0.5, "val_loss": 0.6}),
    (" * Acc@1 76.1 Acc@5 92.9", {"acc@1": 76.1, "acc@5": 92.9}),
    ("\tLoss 6.9e+00 (7.0e+00)\tTop-1 acc: 3", {"loss": 6.9, "top-1_acc": 3.0}),
    ("the loss is 0.3", {"loss": 0.3}),
    ("reward: -12.5 length: 20", {"reward": -12.5, "length": 20.0}),
]

PROSE = [
    "",
    "Loaded 60000 samples in 3.2 seconds",
    "Using device: cuda:0",
    "Note: 3 workers are used",
    "In 2019, 3 people trained 4 models.",
    "Found 12 files at 2024-01-01 12:30:00",
    "Listening on http://localhost:8080",
    "Training: 100%|##########| 10/10 [00:01<00:00]",
    "Epoch 3/10",
    "Val loss decreased (0.52 --> 0.49). Saving model",
    "torch 2.13.0+cpu, Python 3.11.7",
    "-----------------------------------------",
]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("epoch 3 val_swd 0.12 | valid/rel_l2 4e-2", {"val_swd": 0.12, "valid/rel_l2": 0.04}),
        ("the validation 3 of the 7 tests took 2 s", {}),
    ],
)
def test_a_compound_name_that_names_a_phase_is_a_metric(
    line: str, expected: dict[str, float]
) -> None:
    assert dict(parse(line)) == expected


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_lines_of_real_scripts(line: str, expected: dict[str, float]) -> None:
    assert dict(parse(line)) == expected


def test_nan_is_a_value() -> None:
    for line in ("val_loss: nan", "{'val_loss': nan}", '{"val_loss": NaN}', "val_loss=NaN"):
        [(name, value)] = parse(line)
        assert name == "val_loss"
        assert math.isnan(value)


@pytest.mark.parametrize("line", PROSE)
def test_prose_gives_nothing(line: str) -> None:
    assert parse(line) == []


def test_names_are_the_same_on_every_line() -> None:
    names = {
        name for n in range(200) for name, _ in parse(f"Epoch {n}: val loss {n / 7}, acc: {n}")
    }
    assert names == {"val_loss", "acc"}


def test_rows_of_a_table() -> None:
    parser = Parser()
    found = [
        dict(parser.feed(line))
        for line in (
            "| epoch | train loss | val acc | time  |",
            "|-------|------------|---------|-------|",
            "| 1     | 0.5        | 71.0%   | 00:10 |",
            "some words in between",
            "| 2     | 0.4        | 72.0%   | 00:10 |",
        )
    ]
    row = {"train_loss": 0.5, "val_acc": 71.0}
    assert found == [{}, {}, row, {}, {"train_loss": 0.4, "val_acc": 72.0}]


@pytest.mark.parametrize(
    "line",
    [
        "1 " * 5000, "a=1 " * 2500, "a " * 5000, "(" * 10_000, "x" * 10_000, "1" * 10_000,
        "{" * 10_000 + "}", "{'a': " * 1000 + "1" + "}" * 1000, "1,000" * 2000, "loss: " * 1600,
        "INFO " * 2000, "\x00\xff" * 5000, "1e" * 5000, "= 1 " * 2500, " " * 10_000 + "1",
        "a" * 100 + "@1/" * 3000, "loss: 1" + "0" * 9000, "-" * 9000 + "1",
    ],
    ids=range(18),
)  # fmt: skip
@pytest.mark.timeout(60)
def test_work_per_line_is_bounded(line: str) -> None:
    """One whose work grows with the square of its length would take seconds each time."""
    for _ in range(50):
        Parser().feed(line)
