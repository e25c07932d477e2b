"""R803: training mode where a model is trained, evaluation mode where it is evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Phase, Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.source.source import Source
    from remedies.surgery import Program


class RestoreMode(Remedy):
    """Training mode where a model is trained, evaluation mode where it is evaluated.

    What it does:
        Before each forward pass of a model, calls ``train()`` on it where gradients are computed
        and ``eval()`` where they are not, if it is in the other mode.

    When it helps:
        Dropout and batch norm do different things in training and in evaluation. A model that was
        left in the wrong mode does the wrong one.

    Parameters:
        None.

    In the script:
        ``model.train()`` as the first line of every epoch, ``model.eval()`` before validation.

    Source:
        The documentation of ``torch.nn.Module.train``.
    """

    code = "R803"
    name = "restore-mode"
    treats = {"P803": 0.9}
    acts_on = "root modules"

    @property
    def space(self) -> Space:
        """Nothing to choose."""
        return {}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The models that symptoms name, together; every model where there is none."""
        roots = [info.where for info in trace.modules.values() if info.parent is None]
        named = [root for root in roots if root in {symptom.where for symptom in symptoms}]
        if named or roots:
            yield ",".join(named or roots)

    def apply(self, program: Program, action: Action) -> None:
        """Look at the mode before each forward pass."""
        import torch
        from torch.nn.modules.module import register_module_forward_pre_hook

        roots: dict[int, tuple[nn.Module, str | None]] = {}

        def before(module: nn.Module, inputs: Any) -> None:
            if torch._C._current_graph_task_id() != -1:
                return
            if id(module) not in roots:
                found = program.root_of(module)
                name = program.module_name(found)
                if name is None:
                    return
                roots[id(module)] = found, name
            root, name = roots[id(module)]
            wanted = torch.is_grad_enabled()
            if name in action.targets and root.training is not wanted:
                root.train(wanted)
                how = "train" if wanted else "eval"
                program.report(action, name or "", f"{how}() before the forward pass")

        program.at_close(register_module_forward_pre_hook(before).remove)

    def advice(self, action: Action) -> str:
        """What to call, and where."""
        return (
            f"Call train() on {action.target or 'the model'} at the start of every epoch, and "
            f"eval() before every validation."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Write ``train()`` into the loop, and ``eval()`` before validation, where it lacks."""
        if len(action.targets) != 1:
            raise Unwritable("there are several models")
        evaluated = _lines(source.trace, action.target, "eval", 1.0)
        if not evaluated and not _lines(source.trace, action.target, "train", 0.0):
            raise Unwritable("the wrong mode was not seen")
        for line in sorted(evaluated):
            source.eval_before(line)
        unmarked = ("no_grad", "inference_mode") if evaluated else ()
        source.train_in_loop("eval", *unmarked)


def _lines(trace: Trace, root: str, phase: Phase, mode: float) -> set[str]:
    """Where a model was in this mode in the end."""
    found = set()
    for place in trace.places("mode.training", phase):
        values = trace.signal(phase, place, "mode.training").finite.values
        if place.rpartition("@")[0] == root and values and values[-1] == mode:
            found.add(place.rpartition("@")[2])
    return found
