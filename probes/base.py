"""The one base class of all probes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from probes.objective import Objective
from probes.symptom import Symptom
from probes.trace import Trace


class Probe(ABC):
    """Reads a trace into symptoms: pure, without side effects, quick.

    A probe is one file with one subclass. Its class docstring is its documentation page (printed
    by ``agent explain``) and has the headings ``What it detects``, ``Why it harms``, ``Rule``,
    ``Example`` and ``Source``. The module must not import torch: the registry is read by the
    command line, which has to answer at once.

    Attributes:
        code: Stable code, ``P`` and three digits; never used again for something else.
        name: Stable name of the fault, in kebab case.
        signals: Names of the signals that the rule reads.
        advice_only: Whether nothing can be done about it from outside of the script: the message
            then says what to change.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    signals: ClassVar[tuple[str, ...]] = ()
    advice_only: ClassVar[bool] = False

    @abstractmethod
    def read(self, trace: Trace, metric: Objective | None = None) -> Iterable[Symptom]:
        """Symptoms in the trace, the most severe first.

        Args:
            trace: What was recorded of the run.
            metric: The metric that the run is judged by, when one is known.
        """
