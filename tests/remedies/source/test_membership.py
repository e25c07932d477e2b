"""The parameters that were left out of an optimizer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probes.trace import Trace
from remedies.source.errors import Unwritable


def joined(rewrite: Callable[..., str], text: str, target: str = "embed,layers") -> str:
    modules = {"Net": None, "embed": "Net", "layers": "Net", "layers.0": "layers", "head": "Net"}
    trace = Trace.of(
        {"event": "module", "where": where, "type": "Linear", "parent": parent}
        for where, parent in {**modules, "Other": None}.items()
    )
    return rewrite(text, "R802", target, trace)


def test_the_bundled_script_is_cured_as_a_person_does(rewrite, bundled) -> None:
    sick, healthy = bundled("unoptimised_parameters")
    assert joined(rewrite, sick) == healthy


TEXT = "import torch\nopt = torch.optim.Adam({0}, lr=0.1)  # fast\n"


def test_a_model_of_a_trainer(rewrite) -> None:
    before = TEXT.format("self.model.layers.head.parameters()")
    after = TEXT.format("self.model.parameters()")
    assert joined(rewrite, before.replace(".layers", "")) == after


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("model.parameters()", "embed"),
        ("model.decoder.parameters()", "embed"),
        ("model.layers[0].parameters()", "embed"),
        ("[model.head.weight]", "embed"),
        ("model.head.parameters()", "Other,embed"),
        ("model.head.parameters()", "unknown"),
        ("[{'params': model.head.parameters()}]", "embed"),
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, given, target) -> None:
    with pytest.raises(Unwritable):
        joined(rewrite, TEXT.format(given), target)
