"""The learning rate, where the optimizers are made."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable

HEAD = "import torch\nfrom torch.optim import SGD\nfrom lion import Lion\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("torch.optim.Adam(ps, lr=2e-3)", "torch.optim.Adam(ps, lr=0.012)"),
        ("SGD(ps, momentum=0.9, lr=args.lr)", "SGD(ps, momentum=0.9, lr=6 * args.lr)"),
        ("SGD(ps, lr=lr if lr else 1)", "SGD(ps, lr=6 * (lr if lr else 1))"),
        ("SGD(ps, lr=1e-5), SGD(qs, lr = 1)", "SGD(ps, lr=6e-5), SGD(qs, lr = 6.0)"),
        ("SGD(ps, lr=0.1); print({'lr': 0.1})", "SGD(ps, lr=0.6); print({'lr': 0.1})"),
    ],
)
def test_the_keyword_is_multiplied(rewrite, before, after) -> None:
    assert rewrite(f"{HEAD}o = {before}\n", "R301", factor=6.0) == f"{HEAD}o = {after}\n"


@pytest.mark.parametrize(
    "text",
    [
        "SGD(ps, 0.1)",
        "SGD(ps)",
        "SGD(ps, **options)",
        "SGD(ps, lr=0.1), SGD(qs)",
        "SGD(ps, lr=None)",
        "Lion(model.parameters(), lr=0.1)",
        "SGD(ps, lr=0.1), Lion(model.parameters(), lr=0.1)",
        "SGD([{'params': ps, 'lr': 0.2}], lr=0.1)",
        "SGD(ps, lr=0.1); group['lr'] = 0.3",
        "SGD(ps, lr=0.1); group['lr'] *= 0.5",
        "SGD(ps, lr=0.1); torch.optim.lr_scheduler.OneCycleLR(o, max_lr=1, total_steps=9)",
        "torch.optim.lr_scheduler.StepLR(o, 3)",
        "1",
    ],
)
def test_what_would_not_be_the_same_is_not_written(rewrite, text) -> None:
    with pytest.raises(Unwritable):
        rewrite(f"{HEAD}o = {text}\n", "R301", factor=6.0)


def usual(rewrite, text: str, momentum: float = 0.9) -> str:
    return rewrite(text, "R312", momentum=momentum)


def test_the_momentum_of_the_bundled_script(rewrite, bundled) -> None:
    sick, _ = bundled("momentum_at_odds")
    assert usual(rewrite, sick) == sick.replace("momentum=args.momentum", "momentum=0.9")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SGD(ps, 0.1, 0.999)", "SGD(ps, 0.1, 0.8)"),
        ("AdamW(ps, lr=0.1)", "AdamW(ps, lr=0.1, betas=(0.8, 0.999))"),
        ("Adam(ps, 0.1, (0.9, 0.2), eps=1.0)", "Adam(ps, 0.1, (0.8, 0.999), eps=1e-08)"),
        ("Adam(ps, betas=(0.99, 0.95), lr=rate)", "Adam(ps, betas=(0.8, 0.95), lr=rate)"),
    ],
)
def test_the_usual_settings(rewrite, before, after) -> None:
    text = f"import torch\nopt = torch.optim.{before}  # why\n"
    assert usual(rewrite, text, 0.8) == text.replace(before, after)


@pytest.mark.parametrize(
    "call",
    ["Adam(ps, betas=betas)", "Adam(ps, eps=args.eps)", "SGD(ps, **kw)", "Rprop(ps)"],
)
def test_settings_that_are_computed_are_not_written(rewrite, call) -> None:
    with pytest.raises(Unwritable):
        usual(rewrite, f"import torch\nopt = torch.optim.{call}\n")


def test_the_optimizer_of_the_bundled_script_is_swapped(rewrite, bundled) -> None:
    sick, _ = bundled("always_clipping")
    old = "SGD(model.parameters(), lr=args.lr, momentum=args.momentum)"
    assert rewrite(sick, "R307", to="adamw") == sick.replace(
        old, "AdamW(model.parameters(), lr=1e-3)"
    )


def test_another_optimizer_is_imported(rewrite) -> None:
    before = "from torch.optim import Adam\nopt = Adam(params=net.parameters(), lr=9)  # fast\n"
    after = (
        "from torch.optim import Adam, SGD\n"
        "opt = SGD(net.parameters(), lr=0.05, momentum=0.9)  # fast\n"
    )
    assert rewrite(before, "R307", to="sgd") == after


@pytest.mark.parametrize(
    "call", ["LBFGS(net.parameters(), lr=1)", "Adam([{'params': ps}], lr=1)", "Adam(ps, **kw)"]
)
def test_settings_of_their_own_are_not_swapped(rewrite, call) -> None:
    with pytest.raises(Unwritable):
        rewrite(f"import torch\nopt = torch.optim.{call}\n", "R307", to="sgd")
