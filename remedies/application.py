"""Applies a stored treatment to a model, for who prefers that to a patch of the script."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from remedies.errors import NotApplicable
from remedies.treatment import Action, Treatment

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Stored = Action | Iterable[Action | Mapping[str, Any]] | Mapping[str, Any] | str | Path
"""A treatment; the same as data; a diagnosis as data; JSON of either, or the file that it is in."""


def apply(treatment: Stored, model: nn.Module, *optimizers: Optimizer) -> nn.Module:
    """Apply a treatment to a model, as the trials that confirmed it did.

    Call it once, right after the model is made (and the optimizer, where it is given), before the
    first step, and before ``load_state_dict``. What is changed is the model object: layers are
    swapped in place or get hooks. What a treatment keeps beside the layers is not in the
    ``state_dict``: the statistics of ``standardise-inputs`` and ``spread-output``, the scale and
    shift of ``stage-modules``.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    >>> stored = '[{"remedy": "R101", "name": "swap-norm", "target": "1", "params": {"to": "rms"}}]'
    >>> apply(stored, net)[1]
    StandInNorm(rms, 8, affine=True)

    Args:
        treatment: What ``fix.treatment`` of a diagnosis says: actions, the same as dictionaries or
            as JSON, the diagnosis itself, or the file that ``--json`` wrote.
        model: The model that was diagnosed. Paths of modules are those below it.
        optimizers: What trains it; the first one counts the steps and takes new parameters.

    Returns:
        The model; another object only where the model itself is what was swapped.

    Raises:
        NotApplicable: A remedy acts on more than a model, or needs the optimizer. The message says
            what to do instead. Nothing was changed.
        ValueError: It is no treatment, or none for this model. Nothing was changed.
        UnknownUnitError: A remedy is not registered here.
    """
    from remedies.surgery.living_model import LivingModel

    actions = read_treatment(treatment)
    living = LivingModel(model, optimizers)
    for action in actions:
        try:
            living.take((action,))
        except NotApplicable as error:
            raise NotApplicable(_instead(action, str(error))) from None
    living.commit()
    return living.model


def read_treatment(stored: Stored) -> Treatment:
    """The treatment that something stored holds; see `apply`.

    Raises:
        ValueError: It holds none.
    """
    if isinstance(stored, Action):
        return (stored,)
    if isinstance(stored, str) and stored.lstrip()[:1] in ("[", "{"):
        return read_treatment(_parsed(stored, "the text"))
    if isinstance(stored, str | Path):
        try:
            text = Path(stored).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read {stored}: {error}") from error
        return read_treatment(_parsed(text, str(stored)))
    if isinstance(stored, Mapping) and "remedy" not in stored:
        fix = stored.get("fix", stored)
        if not isinstance(fix, Mapping) or "treatment" not in fix:
            raise ValueError("the diagnosis has no confirmed fix: there is nothing to apply")
        return read_treatment(fix["treatment"])
    try:
        listed = [stored] if isinstance(stored, Mapping) else list(stored)
        return TypeAdapter(Treatment).validate_python(tuple(listed))
    except (TypeError, ValidationError) as error:
        raise ValueError(f"this is no treatment: {error}") from error


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where} is no JSON: {error}") from error


def _instead(action: Action, reason: str) -> str:
    from remedies import remedies

    advice = remedies[action.remedy].advice(action)
    return f"{action} cannot be applied to a model by itself: {reason}. Instead: {advice}"
