"""Helpers, pasted where they say: the script computes what the treated trial computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.patch import write_patch
from probes.trace import Trace
from remedies import Action, remedies
from remedies.source.errors import Unwritable
from remedies.source.source import Source

WORKLOADS = Path(__file__).parents[3] / "workloads"
STEPS = 10
"""As many as it takes for a late difference to show; the staging is over by then."""

LAYERS = "stem,layers.0,layers.1,layers.2"


def act(remedy: str, target: str, **params: Any) -> Action:
    return Action(remedy=remedy, name=remedies[remedy].name, target=target, params=params)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("unbounded_encoder", act("R103", "encoder", kind="rms")),
        ("overfitting", act("R104", "hidden,leave", kind="layer")),
        ("vanishing_gradients", act("R105", LAYERS, kind="layer")),
        ("preprocessing_mismatch", act("R105", "layers.0,layers.2", kind="rms")),
        ("reduction_bias", act("R201", "loss_countdown", strategy="fixed", factor=364.0)),
        ("overfitting", act("R306", "", steps=6.0)),
        ("reduction_bias", act("R206", "loss_countdown", steps=6.0)),
        ("overfitting", act("R311", "hidden,leave", share=0.5)),
        (
            "background_collapse",
            act(
                "R501",
                "hyper_lora,solver_attention,injector",
                until=3.0,
                ramp="linear",
                fallback="film",
            ),
        ),
        ("background_collapse", act("R501", "injector", until=5.0, ramp="hard", fallback="skip")),
        (
            "background_collapse",
            act("R501", "hyper_lora", until=3.0, ramp="linear", fallback="film"),
        ),
        ("rank_collapse", act("R401", "norm", strength=0.2)),
        ("overfitting", act("R606", "hidden", eps=1e-5)),
        ("rank_collapse", act("R603", "blocks.0,blocks.1,blocks.2,blocks.3,blocks.4")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_pasted_helper_does_what_the_treatment_did(
    name: str,
    action: Action,
    run_script: Callable[..., Trace],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    script = WORKLOADS / name / "sick.py"
    untreated = run_script(script, max_steps=STEPS)
    patch = write_patch((action,), untreated, script.parent, script, pasting=True)
    assert patch is not None and patch.pasted
    pasted = tmp_path_factory.mktemp("pasted") / "sick.py"
    pasted.write_text(_applied(patch.text, script.read_text()))
    treated = _losses(run_script(script, max_steps=STEPS, treatment=(action,)))
    if action.name == "warm-up-learning-rate":  # torch multiplies where the trial divides.
        treated = pytest.approx(treated, rel=1e-5)
    assert _losses(run_script(pasted, max_steps=STEPS)) == treated
    assert _losses(untreated) != treated


def _losses(trace: Trace) -> list[float]:
    (place,) = {where for _, where, name in trace.signals if name == "loss.value"}
    values = trace.signal("train", place, "loss.value").values
    assert len(values) > 2
    return values


def _applied(patch: str, text: str) -> str:
    from agent.apply_patch import patched_files

    (content,) = patched_files(patch, lambda name: text.encode()).values()
    return content.decode()


def seen(rows: Sequence[Any] = (), **optimizer: str) -> Trace:
    layer = {"event": "module", "where": "first", "type": "Linear", "source": "net.py:2"}
    return Trace.of(
        [
            {"event": "module", "where": "Net", "type": "Net", "source": "train.py:3"},
            layer | {"parent": "Net"},
            {"event": "loop", "where": "opt", **optimizer},
            {"event": "term", "where": "kl", "source": "train.py:4"},
            {"event": "signals", "step": 1, "phase": "train", "rows": rows},
        ]
    )


def helped(folder: Path, text: str, action: Action, **told: Any) -> Any:
    script = folder / "train.py"
    script.write_text(f"import torch\n\n{text}\n")
    return remedies[action.remedy].helper(Source(seen(**told), folder, script), action)


def test_a_helper_calls_things_by_their_names_in_the_script(tmp_path: Path) -> None:
    skip = act("R603", "first")
    helper = helped(tmp_path, "self.net = build(8)", skip)
    assert (helper.place, helper.behind, helper.exact) == ("train.py:3", "makes the model", True)
    assert helper.code.startswith('self.net.get_submodule("first").register_forward_hook(')
    helper = helped(tmp_path, "wrap(build(8))", skip)
    assert helper.code.startswith('model.get_submodule("first")') and not helper.exact
    helper = helped(tmp_path, "adam = make()", act("R306", "", steps=9.0), source="train.py:3")
    assert "LinearLR(adam, 1 / 9, total_iters=8)" in helper.code
    bias = act("R502", "first", to="zero")
    helper = helped(tmp_path, "net = build(8)", bias)
    assert helper.code == 'torch.nn.init.zeros_(net.get_submodule("first").bias)\n'
    rows = [["train.py:4", f"label.share.{n}", share] for n, share in enumerate((0.75, 0.25))]
    prior = helped(tmp_path, "net = build(8)", act("R502", "first", to="log-prior"), rows=rows)
    assert prior.code.endswith(".bias.data.copy_(torch.tensor([0.75, 0.25]).log())\n")
    helper = helped(tmp_path, "net = build(8)\nkl = f()", act("R207", "kl", factor=0.01))
    assert (helper.place, helper.code) == (
        "train.py:4",
        "kl.register_hook(lambda gradient: 0.01 * gradient)\n",
    )


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("net = build(8)", act("R603", "absent")),
        ("net = build(8)\nlosses['kl'] = f()", act("R207", "kl", factor=0.01)),
        ("net = build(8)", act("R306", "", steps=9.0)),
        ("net = build(8)", act("R812", "loss")),
        ("net = build(8)", act("R201", "kl", strategy="equal-gradients")),
    ],
    ids=str,
)
def test_where_its_place_is_not_known_there_is_none(tmp_path: Path, text, action) -> None:
    with pytest.raises(Unwritable):
        helped(tmp_path, text, action)
