"""R901: inputs with mean 0 and standard deviation 1 at the model's door."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from probes.symptom import Symptom
from probes.trace import Trace
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Choice, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from torch import nn

    from remedies.source.helpers import Helper
    from remedies.source.source import Source
    from remedies.surgery import Program


class StandardiseInputs(Remedy):
    """Inputs with mean 0 and standard deviation 1 at the model's door.

    What it does:
        Subtracts the mean of each feature (or channel) from what the first layer takes in, and
        divides by its standard deviation. Both are those of the training batches so far, of the
        first hundred at most, and hold in evaluation, too; or training and evaluation have their
        own. What is missing (NaN) becomes the mean. Values that are no measurements (30 usual
        deviations from the median: codes for missing ones) do not count, and come in at 5 standard
        deviations.

    When it helps:
        Inputs are of another scale than the initialisation and the learning rate are made for, or
        were preprocessed in another way in evaluation than in training; or some values are missing,
        or coded by a number that is far from all others.

    Parameters:
        ``statistics``: ``shared`` by training and evaluation, or each its ``own``.

    In the script:
        ``x = (x - train_x.mean(0)) / train_x.std(0)`` for training and validation data alike.

    Source:
        LeCun et al. 1998, Efficient BackProp, section 4.3.
    """

    code = "R901"
    name = "standardise-inputs"
    treats = {"P901": 0.9, "P902": 0.9, "P905": 0.8}
    acts_on = "the first layer"
    reach = "model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"statistics": Choice(("shared", "own"), usual=1)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The layers that the symptoms name; without symptoms, every first layer."""
        named = [s.where for s in symptoms if s.where in trace.modules]
        return list(dict.fromkeys(named)) or [
            where for where in trace.places("input.rms") if where in trace.modules
        ]

    def default(self, target: str, symptoms: Iterable[Symptom] = ()) -> Action:
        """Own statistics where evaluation is preprocessed in another way."""
        action = super().default(target)
        if any(symptom.code == "P905" for symptom in symptoms):
            return action.model_copy(update={"params": {"statistics": "own"}})
        return action

    def space_near(self, action: Action, trace: Trace) -> Space:
        """What the symptoms call for, alone."""
        chosen = action.params["statistics"]
        rest = [option for option in ("shared", "own") if option != chosen]
        return {"statistics": Choice((chosen, *rest), usual=1)}

    def apply(self, program: Program, action: Action) -> None:
        """Hook the standardisation before every target."""
        from probes.tap.inputs import takes_features
        from remedies.surgery.standardising import Standardiser
        from remedies.surgery.tensors import change_first

        own = action.params["statistics"] == "own"

        def hook(module: nn.Module) -> nn.Module:
            if not takes_features(module):
                return module
            standardise = Standardiser(module, own)

            def before(_: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                program.report(action, action.target, "inputs standardised")
                return change_first((args, kwargs), standardise)

            module.register_forward_pre_hook(before, with_kwargs=True)
            return module

        for path in action.targets:
            program.edit_module(action, path, hook)

    def advice(self, action: Action) -> str:
        """What to do with the data."""
        if action.params["statistics"] == "own":
            return (
                "Preprocess training and validation data in the same way: they come in at "
                f"{action.target or 'the model'} with different means or scales."
            )
        return (
            "Standardise the inputs with the mean and standard deviation of each feature of the "
            f"training data before {action.target or 'the model'}, in evaluation, too."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Put a batch norm without parameters before the layer, where it is made.

        It averages over all training batches, or, for ``own``, takes each batch by itself.
        """
        from remedies.source.heads import without_code
        from remedies.source.layers import put_beside, sizes

        own = action.params["statistics"] == "own"
        kept = "track_running_stats=False" if own else "momentum=None"
        for call in source.constructors(action.targets):
            kind = call.name.rpartition(".")[2].replace("Linear", "Conv1d")
            norm = kind.replace("Conv", "BatchNorm")
            put_beside(call, before=[f"{norm}({sizes(call)[0]}, affine=False, {kept})"])
        for path in action.targets:
            codes = source.trace.signal("train", path, "input.code").values
            if any(source.trace.signal("train", path, "input.outlying").values):
                if not codes or len(set(codes)) != 1:
                    raise Unwritable("what stands for missing values is not clear")
                source.open_all()
                without_code(source.files, path, codes[0])

    def helper(self, source: Source, action: Action) -> Helper:
        """A hook with averages over batches: those of training, and those of evaluation."""
        from remedies.source.helpers import Helper, model_of
        from remedies.source.imports import written_name

        model, below = model_of(source, action.targets)
        kinds = {source.trace.modules[path].type for path in action.targets}
        kind = kinds.pop().replace("Linear", "Conv1d")
        if action.params["statistics"] != "own" or kinds or not kind.startswith("Conv"):
            raise Unwritable("the layer itself is where it is written")
        norm = written_name(model.file, f"torch.nn.{kind.replace('Conv', 'LazyBatchNorm')}")
        code = _HELPER.format(norm=norm, model=model.name, path=below[0])
        return Helper(model.place, "makes the model", code, model.exact)


_HELPER = """\
input_norms = {{mode: {norm}(affine=False, momentum=None) for mode in (True, False)}}

def standardise_input(module, args):
    norm = input_norms[module.training].train()
    norm(args[0])  # takes the batch into its averages
    return norm.eval()(args[0]), *args[1:]

{model}.get_submodule("{path}").register_forward_pre_hook(standardise_input)
"""
