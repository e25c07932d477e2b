"""Batches, rounds, groups, shares, skips, scores and initial weights."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable


@pytest.mark.parametrize(
    ("name", "remedy", "params"),
    [
        ("repeated_batch", "R808", {}),
        ("dead_relus", "R504", {"scheme": "kaiming"}),
        ("saturated_units", "R504", {"scheme": "xavier"}),
        ("underfitting", "R313", {"share": 0.1}),
    ],
)
def test_a_bundled_script_is_cured_as_a_person_does(
    rewrite, bundled, facts, name, remedy, params
) -> None:
    sick, healthy = bundled(name)
    lines = [n for n, line in enumerate(sick.splitlines(), 1) if "nn.Dropout(" in line]
    trace = facts({f"net.{n}": ("Dropout", line) for n, line in enumerate(lines)})
    target = ",".join(trace.modules)
    assert rewrite(sick, remedy, target, trace, **params) == healthy


@pytest.mark.parametrize(
    "loop",
    [
        "x = next(iter(loader))",
        "for n in r:\n    f(next(iter(loader)))",
        "for n in r:\n    x = next(iter(make()))",
        "batches = 1\nfor n in r:\n    x = next(iter(loader))",
        "for n in r:\n    x = next(iter(a))\n    y = next(iter(b))",
    ],
)
def test_another_first_batch_stays(rewrite, loop) -> None:
    with pytest.raises(Unwritable):
        rewrite(f"{loop}\n", "R808")


EPOCHS = "for epoch in {0}:\n    for x in loader:\n        opt.step()\n    print(1)\n"


def steps(facts, apart=(6, 12, 18)):
    trace = facts(loop={"where": "opt", "stepped": "train.py:3"})
    for step in apart:
        trace.feed({"event": "metric", "name": "val", "step": step, "value": 1.0})
    return trace


@pytest.mark.parametrize(
    ("rounds", "last"), [("range(9)", 1), ("range(1, n + 1)", 2), ("range(5, 9)", 6)]
)
def test_the_loop_is_left_after_the_best_round(rewrite, facts, rounds, last) -> None:
    before = EPOCHS.format(rounds)
    after = rewrite(before, "R310", "", steps(facts), step=12.0)
    assert after == f"{before}    if epoch == {last}:\n        break\n"


def test_rounds_that_are_not_counted_are_not_written(rewrite, facts) -> None:
    for rounds in ("loader", "range(first, 9)", "range(0, 9, 2)"):
        with pytest.raises(Unwritable):
            rewrite(EPOCHS.format(rounds), "R310", "", steps(facts), step=12.0)
    with pytest.raises(Unwritable):
        rewrite(EPOCHS.format("range(9)"), "R310", "", steps(facts, (6, 13)), step=12.0)


GROUPS = "groups = [\n    {'params': a, 'lr': body},  # slow\n    {'params': b}\n]\n"


def test_the_rate_of_one_group(rewrite, facts) -> None:
    trace = facts()
    for number in range(2):
        trace.feed({"event": "optimizer", "where": f"Adam[{number}]", "type": "Adam"})
    after = rewrite(GROUPS, "R301", "Adam[0]", trace, factor=100.0)
    assert after == GROUPS.replace("'lr': body", "'lr': 100 * body")
    for text, target in ((GROUPS, "Adam[1]"), (GROUPS + GROUPS, "Adam[0]"), ("", "Adam[0]")):
        with pytest.raises(Unwritable):
            rewrite(text, "R301", target, trace, factor=100.0)


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("for block in self.blocks: x = block(x)", "for block in self.blocks: x = x + block(x)"),
        ("y = f(self.blocks(x, m))", "y = f(x + self.blocks(x, m))"),
        ("y = 2 * self.blocks(x)", "y = 2 * (x + self.blocks(x))"),
    ],
)
def test_a_skip_around_blocks(rewrite, line, after) -> None:
    text = "class Net:\n    def forward(self, x, m):\n        {0}\n"
    assert rewrite(text.format(line), "R603", "blocks.0,blocks.1") == text.format(after)


@pytest.mark.parametrize(
    "line", ["self.blocks(f(x))", "self.blocks(x) + self.blocks(x)", "self.other(x)"]
)
def test_a_skip_that_is_not_clear_is_not_written(rewrite, line) -> None:
    with pytest.raises(Unwritable):
        rewrite(f"y = {line}\n", "R603", "blocks.0,blocks.1")


@pytest.mark.parametrize(
    ("call", "after"),
    [
        ("F.softmax(q @ k, dim=-1)", "F.softmax(0.125 * (q @ k), dim=-1)"),
        ("scores.softmax(-1)", "(0.125 * scores).softmax(-1)"),
    ],
)
def test_scores_before_a_softmax(rewrite, call, after) -> None:
    text = "from torch.nn import functional as F\nw = {0}\n"
    found = rewrite(text.format(call), "R605", "softmax@train.py:2", factor=0.125)
    assert found == text.format(after)
    for target in ("softmax@train.py:1", "scaled_dot_product_attention@train.py:2"):
        with pytest.raises(Unwritable):
            rewrite(text.format(call), "R605", target, factor=0.125)


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("w = F.softmax(q @ k, dim=-1)", "w = q @ k"),
        ("w = (q @ k).softmax(-1)", "w = (q @ k)"),
        ("w = F.softmax(q @ k, dim=-1)[0]", "w = (q @ k)[0]"),
        ("w = f(scores.softmax(-1))", "w = f(scores)"),
    ],
)
def test_a_softmax_is_left_out(rewrite, line, after) -> None:
    text = "from torch.nn import functional as F\n{0}\n"
    assert rewrite(text.format(line), "R607", "softmax@train.py:2") == text.format(after)


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("w = F.softmax(q @ k, dim=1)", "w = F.softmax(q @ k, dim=-1)"),
        ("w = (q @ k).softmax(0)", "w = (q @ k).softmax(-1)"),
        ("w = F.softmax(scores)", "w = F.softmax(scores, dim=-1)"),
        ("w = F.softmax(scores, 2)[0]", "w = F.softmax(scores, -1)[0]"),
    ],
)
def test_a_softmax_is_taken_along_the_last_axis(rewrite, line, after) -> None:
    text = "from torch.nn import functional as F\n{0}\n"
    assert rewrite(text.format(line), "R608", "softmax@train.py:2") == text.format(after)


@pytest.mark.parametrize("line", ["w = x.softmax(0).softmax(-1)", "w = self.weigh(x)"])
def test_a_softmax_that_is_not_clear_is_not_left_out(rewrite, line) -> None:
    with pytest.raises(Unwritable):
        rewrite(f"{line}\n", "R607", "softmax@train.py:1")


def test_a_model_that_nobody_initialises_is_when_it_is_made(rewrite, facts) -> None:
    text = "from torch import nn\n\nmodel = Net(8)\nprint(model)\n"
    trace = facts({"Net": ("Net", 3), "one": ("Linear", 3), "two": ("Conv2d", 3)})
    after = rewrite(text, "R504", "", trace, scheme="xavier")
    assert after == text.replace(
        "print",
        "for module in model.modules():\n"
        "    if isinstance(module, nn.Conv2d | nn.Linear):\n"
        "        nn.init.xavier_normal_(module.weight)\n"
        "        nn.init.zeros_(module.bias)\n"
        "print",
    )


@pytest.mark.parametrize(
    "code",
    [
        "nn.init.normal_(self.scale)",
        "nn.init.ones_(self.norm.weight)",
        "nn.init.normal_(tensor=w)",
        "nn.init.zeros_(layer.bias)",
        "build(Net(8))",
    ],
)
def test_initial_weights_that_are_not_clear_stay(rewrite, facts, code) -> None:
    trace = facts({"Net": ("Net", 3), "one": ("Linear", 3)})
    with pytest.raises(Unwritable):
        rewrite(f"from torch import nn\n\n{code}\n", "R504", "", trace, scheme="kaiming")


def test_an_embedding_keeps_its_weights(rewrite, facts) -> None:
    text = (
        "from torch import nn\n\nnn.init.normal_(self.words.weight)\n"
        "nn.init.normal_(self.one.weight)\n"
    )
    trace = facts({"Net": ("Net", 3), "one": ("Linear", 3), "words": ("Embedding", 3)})
    after = rewrite(text, "R504", "", trace, scheme="orthogonal")
    assert after == text.replace("normal_(self.one", "orthogonal_(self.one")


def test_a_step_before_its_backward_pass_is_moved_behind_it(rewrite, bundled, facts) -> None:
    sick, healthy = bundled("step_order")
    lines = sick.splitlines()
    backward, stepped = (
        1 + next(n for n, line in enumerate(lines) if text in line)
        for text in ("loss.backward()", "optimizer.step()")
    )
    loop = {"backward": f"train.py:{backward}", "stepped": f"train.py:{stepped}"}
    assert rewrite(sick, "R805", "", facts(loop={"where": "optimizer", **loop})) == healthy


@pytest.mark.parametrize(
    ("rounds", "factor", "after"),
    [
        ("range(9)", 2.0, "range(18)"),
        ("range(1, args.epochs + 1)", 3.0, "range(1, 3 * args.epochs + 1)"),
        ("range(epochs)", 2.5, "range(round(2.5 * epochs))"),
    ],
)
def test_the_training_loop_makes_more_rounds(rewrite, facts, rounds, factor, after) -> None:
    trace = steps(facts)
    found = rewrite(EPOCHS.format(rounds), "R302", "", trace, factor=factor)
    assert found == EPOCHS.format(after)
    with pytest.raises(Unwritable):
        rewrite(EPOCHS.format("range(2, 9)"), "R302", "", trace, factor=factor)
