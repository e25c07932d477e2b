"""The step of a schedule behind the loop over the batches."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def moved(rewrite: Callable[..., str], text: str, **params: object) -> str:
    step = text.index("opt.step()") if "opt.step()" in text else text.index("optimizer.step()")
    line = 1 + text[:step].count("\n")
    metrics = [{"event": "metric", "step": s, "name": "loss", "value": 1.0} for s in (50, 100)]
    loop = {"event": "loop", "where": "opt", "stepped": f"train.py:{line}"}
    given = {"how": "slower", "every": 40.0, **params}
    return rewrite(text, "R806", trace=Trace.of([loop, *metrics]), **given)


def test_the_bundled_script_is_cured_as_a_person_does(rewrite, bundled) -> None:
    sick, healthy = bundled("scheduler_cadence")
    assert moved(rewrite, sick) == healthy


TEXT = """from torch.optim.lr_scheduler import CosineAnnealingLR
class T:
    def fit(self):
        self.plan = CosineAnnealingLR(self.opt, 10)
        while self.epoch < 10:
            for x in self.data:
                self.opt.step()
{0}                print(x)
{1}            # the epoch is over
            self.epoch += 1
"""


def test_a_trainer(rewrite) -> None:
    step = "self.plan.step()\n"
    after = TEXT.format("", " " * 12 + step)
    assert moved(rewrite, TEXT.format(" " * 16 + step, "")) == after


@pytest.mark.parametrize(
    ("step", "params"),
    [
        ("self.plan.step()", {"how": "hold"}),
        ("self.plan.step()", {"every": 7.0}),
        ("self.plan.step(x)", {}),
        ("if x: self.plan.step()", {}),
        ("self.plan.step()\n                if x: break", {}),
        ("self.other.step()", {}),
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, step, params) -> None:
    with pytest.raises(Unwritable):
        moved(rewrite, TEXT.format(f"                {step}\n", ""), **params)


def moved_in(
    rewrite: Callable[..., str], text: str, place: str = "plan.step(", stepped: str = "opt.step()"
) -> str:
    lines = [1 + text[: text.index(piece)].count("\n") for piece in (stepped, place)]
    loop = {"event": "loop", "where": "opt", "stepped": f"train.py:{lines[0]}"}
    rows = [[f"opt@train.py:{lines[1]}", "schedule.position", 1.0]]
    signals = {"event": "signals", "step": 1, "phase": "train", "rows": rows}
    return rewrite(text, "R806", trace=Trace.of([loop, signals]), how="faster")


def test_the_bundled_script_of_a_stalled_warm_up_is_cured_as_a_person_does(
    rewrite, bundled
) -> None:
    sick, healthy = bundled("stalled_warm_up")
    assert moved_in(rewrite, sick, "scheduler.step()", "optimizer.step()") == healthy


def test_a_schedule_of_a_trainer_that_a_function_made(rewrite) -> None:
    step = "self.plan.step()\n"
    text = TEXT.replace("CosineAnnealingLR(", "make_schedule(")
    sick = text.format("", " " * 12 + step)
    at = " " * 16
    healthy = text.format("", "").replace("self.opt.step()\n", f"self.opt.step()\n{at}{step}")
    assert moved_in(rewrite, sick) == healthy


ACCUMULATED = """for epoch in range(9):
    for n, x in enumerate(data):
        loss(x).backward()
        if n % 4 == 3:
            scaler.step(opt)
            scaler.update()
{0}            opt.zero_grad()
{1}    print(epoch)
"""


def test_an_optimizer_that_steps_once_in_a_few_batches(rewrite) -> None:
    sick = ACCUMULATED.format("", "    plan.step()  # the epoch is over\n")
    found = moved_in(rewrite, sick, stepped="scaler.step(opt)")
    step = "            scaler.step(opt)\n"
    assert found == ACCUMULATED.format("", "").replace(step, f"{step}            plan.step()\n")


@pytest.mark.parametrize(
    "tail",
    [
        "    if epoch > 3:\n        plan.step()\n",
        "    plan.step(epoch)\n",
        "    plan.step() or print(epoch)\n",
        "plan.step()\n",
        "def report():\n    plan.step()\n",
    ],
)
def test_moves_that_are_not_plain_stay_where_they_are(rewrite, tail) -> None:
    with pytest.raises(Unwritable):
        moved_in(rewrite, ACCUMULATED.format("", tail), stepped="scaler.step(opt)")


@pytest.mark.parametrize("how", ["faster", "aim"])
def test_without_a_line_that_moves_it_nothing_is_written(rewrite, how) -> None:
    with pytest.raises(Unwritable):
        rewrite("opt.step()\n", "R806", trace=Trace(), how=how)


FORGOTTEN = """from torch.optim.lr_scheduler import LinearLR, StepLR
def train(data):
    {0}
    for x in data:
        opt.step()
        print(x)
"""


def forgotten(rewrite: Callable[..., str], text: str, loops: tuple[str, ...] = ("opt",)) -> str:
    line = 1 + text[: text.index("opt.step()")].count("\n")
    known = [{"event": "loop", "where": w, "stepped": f"train.py:{line}"} for w in loops]
    return rewrite(text, "R806", trace=Trace.of(known), how="faster")


def test_a_schedule_that_nothing_moves_makes_its_step(rewrite) -> None:
    sick = FORGOTTEN.format("plan = LinearLR(opt, 0.01, total_iters=90)")
    at = " " * 8
    healthy = sick.replace("opt.step()\n", f"opt.step()\n{at}plan.step()\n")
    assert forgotten(rewrite, sick) == healthy


@pytest.mark.parametrize(
    ("made", "loops"),
    [
        ("plan = LinearLR(opt)\n    other = StepLR(opt, 3)", ("opt",)),
        ("plan = LinearLR(opt)", ("opt", "other")),
        ("plan = make_schedule(opt)", ("opt",)),
        ("opt.plan = LinearLR(opt)", ("opt",)),
        ("LinearLR(opt)", ("opt",)),
    ],
)
def test_which_schedule_was_forgotten_must_be_clear(rewrite, made, loops) -> None:
    with pytest.raises(Unwritable):
        forgotten(rewrite, FORGOTTEN.format(made), loops)


def test_a_forgotten_schedule_of_another_function_is_not_moved(rewrite) -> None:
    text = FORGOTTEN.format("print(data)") + "def plan():\n    plan = LinearLR(opt)\n"
    with pytest.raises(Unwritable):
        forgotten(rewrite, text)


@pytest.mark.parametrize(
    ("moved", "stepped"),
    [(["train.py:2"], "steps.py:2"), (["train.py:2", "train.py:3"], "train.py:1")],
)
def test_one_line_of_the_file_of_the_loop_moves_the_schedule(
    rewrite, tmp_path, moved, stepped
) -> None:
    (tmp_path / "steps.py").write_text("for x in data:\n    opt.step()\n")
    loop = {"event": "loop", "where": "opt", "stepped": stepped}
    rows = [[f"opt@{line}", "schedule.position", 1.0] for line in moved]
    signals = {"event": "signals", "step": 1, "phase": "train", "rows": rows}
    text = "for epoch in range(9):\n    plan.step()\n    other.step()\n"
    with pytest.raises(Unwritable, match="in another file|at 2 lines"):
        rewrite(text, "R806", trace=Trace.of([loop, signals]), how="faster")
