"""What a trace tells of the program itself: its parts, its first NaN, its ending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "completed", "stopped", "raised", "exited", "killed", "timeout", "out-of-memory", "cancelled"
]


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """One module of the model, as it was when first seen in a forward pass.

    Attributes:
        where: Path from the root module, as in ``state_dict`` keys.
        type: Class name.
        source: Line of the user's code that constructed it, ``file.py:12``.
        parent: Path of the module that contains it; None for a root.
        parameters: Number of parameters, its children's included.
        running_statistics: Whether it is a norm that normalises with running statistics in eval.
        defined: Line of the user's code where its ``forward`` is defined.
    """

    where: str
    type: str
    source: str | None = None
    parent: str | None = None
    parameters: int = 0
    running_statistics: bool = False
    defined: str | None = None


@dataclass(frozen=True, slots=True)
class TermInfo:
    """One additive term of the loss.

    Attributes:
        where: Its name in the script.
        source: The line that computed it.
        operation: The torch function that made it, ``huber_loss``.
    """

    where: str
    source: str | None = None
    operation: str | None = None


@dataclass(frozen=True, slots=True)
class NoiseInfo:
    """One place where noise is added to activations.

    Attributes:
        where: The module in whose forward pass it is.
        source: The line that adds it, or that calls the library which does.
        operand: Which operand of the addition the noise is added to, 0 or 1.
    """

    where: str
    source: str | None = None
    operand: int = 0


@dataclass(frozen=True, slots=True)
class OptimizerInfo:
    """One parameter group of an optimizer.

    Attributes:
        where: Class of the optimizer; with the number of the group where there are several.
        type: Class of the optimizer.
        source: Line of the user's code that made the optimizer.
        parameters: Names of its weight matrices; of all its parameters where it has no matrices.
    """

    where: str
    type: str
    source: str | None = None
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoopInfo:
    """One optimizer as the training loop uses it.

    Attributes:
        where: The variable that holds it, ``optimizer``.
        type: Class name.
        source: The line that made it.
        backward: The line of the backward pass before its step.
        stepped: The line that has it make a step.
    """

    where: str
    type: str = ""
    source: str | None = None
    backward: str | None = None
    stepped: str | None = None


@dataclass(frozen=True, slots=True)
class ActivationInfo:
    """One activation within a model: not the last thing that it does.

    Attributes:
        where: Its module, or the layer that feeds it.
        source: The line that makes its module, or that calls the function.
        operation: Name of the torch function, ``relu``.
        kind: ``rectified``, ``sigmoid`` or ``tanh``.
        module: Path of its module; None for a call of a function.
        call: The function and the line that calls it, ``relu@train.py:12``.
        layer: Path of the layer that feeds it, where one does.
    """

    where: str
    source: str | None = None
    operation: str = ""
    kind: str = ""
    module: str | None = None
    call: str | None = None
    layer: str | None = None


@dataclass(frozen=True, slots=True)
class AttentionInfo:
    """One place at which attention is computed.

    Attributes:
        where: Its module, or the function that computes it.
        source: The line of its softmax, or that calls the function; that made its module where
            the module is torch's own.
        operation: Name of the torch function, ``softmax``.
        call: The function and the line that calls it, ``softmax@train.py:12``.
        module: Path of the module at work.
    """

    where: str
    source: str | None = None
    operation: str = ""
    call: str = ""
    module: str | None = None


@dataclass(frozen=True, slots=True)
class NonFinite:
    """The call that made the first NaN or infinity.

    Attributes:
        operation: Name of the torch function, ``log``.
        source: The line that calls it.
        direction: ``forward``: its result was not finite, ``backward``: its gradient.
        step: Optimizer steps done before.
    """

    operation: str
    source: str
    direction: str = "forward"
    step: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended.

    Attributes:
        status: ``completed`` (the script ran to its end), ``stopped`` (our step limit),
            ``raised``, ``exited`` (non-zero exit code), ``killed`` (by a signal), ``timeout``,
            ``out-of-memory`` (our memory limit), ``cancelled`` (by us, the run does not count).
        seconds: Wall time from the first line of the script to its end.
        steps: Optimizer steps done.
        exit_code: Exit code, or minus the signal's number.
        message: One line: the exception, the signal's name, the limit that was exceeded.
        source: Innermost line of the user's code in the traceback.
        output_tail: The last lines that the script wrote.
    """

    status: Status
    seconds: float = 0.0
    steps: int = 0
    exit_code: int | None = None
    message: str = ""
    source: str | None = None
    output_tail: str = ""

    @property
    def planned(self) -> bool:
        """Whether the run ended the way it should."""
        return self.status in ("completed", "stopped")
