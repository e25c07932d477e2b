"""R313: less dropout."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class LowerDropout(Remedy):
    """Less dropout.

    What it does:
        Has each dropout that throws away more throw away only this share, in training; in
        evaluation nothing changes.

    When it helps:
        So much is thrown away that the model does not even learn what it is trained on.

    Parameters:
        ``share``: 0.1, 0.3 or 0.

    In the script:
        ``nn.Dropout(share)`` in the place of ``nn.Dropout(0.9)``.

    Source:
        Srivastava et al. 2014, Dropout: A Simple Way to Prevent Neural Networks from Overfitting.
    """

    code = "R313"
    name = "lower-dropout"
    treats = {"P352": 0.8}
    acts_on = "dropout modules, and lines that call dropout"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"share": Choice((0.1, 0.3, 0.0), usual=2)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """All dropouts of the training, together."""
        places = trace.places("dropout.share")
        named = list(symptoms)  # P352 is also told of runs that have no such dropout.
        if places and (not named or any("share" in symptom.evidence for symptom in named)):
            yield ",".join(places)

    def apply(self, program: Program, action: Action) -> None:
        """Answer the calls of dropout."""
        from probes.tap.dropouts import DROPOUTS, share_of

        share = float(action.params["share"])
        if not action.targets or not 0 <= share < 1:
            raise ValueError(f"{action}: needs dropouts and a share from 0 to below 1")
        modules = {target for target in action.targets if "@" not in target}
        lines = {target.partition("@")[2]: target for target in action.targets if "@" in target}

        def rewrite(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if getattr(func, "__name__", "") not in DROPOUTS or share_of(args, kwargs) <= share:
                return NotImplemented
            place = program.module_name_at_work()
            place = place if place in modules else lines.get(program.line() or "")
            if place is None:
                return NotImplemented
            program.report(action, place, f"dropout of {share:g}")
            if "p" in kwargs or len(args) < 2:
                return func(*args, **{**kwargs, "p": share})
            return func(args[0], share, *args[2:], **kwargs)

        program.rewrite_calls(rewrite)

    def advice(self, action: Action) -> str:
        """Which share to write."""
        share = float(action.params["share"])
        return f"Lower the dropout to {share:g} at {action.target or 'every place'}."

    def rewrite(self, source: Source, action: Action) -> None:
        """Write the share where the dropout modules are made."""
        from remedies.source.given import set_where_given

        share = float(action.params["share"])
        if not action.targets or any("@" in target for target in action.targets):
            raise Unwritable("dropout is called as a function")
        for call in source.constructors(action.targets):
            given = call.arguments("p", "inplace")
            try:
                lower = float(given.get("p", "0.5")) <= share
            except ValueError:
                set_where_given(call, given["p"], f"{share:g}")
                continue
            if not lower:
                kept = {"inplace": given["inplace"]} if "inplace" in given else {}
                call.write(call.name.rpartition(".")[2], [f"{share:g}"], kept)
