"""Everything that ends a diagnosis early, with the exit code it has.

::

    AgentError
    ├── UsageError (2)             no such script, syntax error, unknown metric or code
    ├── WorkloadError (3)          the untreated script fails or never trains
    └── InfrastructureError (4)    Ray, MLflow or the disk fails us
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from agent.diagnosis import Diagnosis


class AgentError(Exception):
    """Base of all errors that a user may see: one clear line that says what to do."""

    exit_code: ClassVar[int] = 4


class UsageError(AgentError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class WorkloadError(AgentError):
    """The untreated script fails by itself, or trains nothing."""

    exit_code = 3


class InfrastructureError(AgentError):
    """Something that we stand on is not there."""

    exit_code = 4


class Interrupted(KeyboardInterrupt):
    """A diagnosis was interrupted by its user.

    Attributes:
        so_far: What is known by then; None where that is nothing.
        run_id: MLflow run to resume; empty where there is none.
    """

    def __init__(self, so_far: Diagnosis | None, run_id: str) -> None:
        super().__init__()
        self.so_far = so_far
        self.run_id = run_id


def first_line(error: BaseException) -> str:
    r"""What an exception of another library says, in one line; its type where it says nothing.

    >>> first_line(OSError("no space left\non the disk")), first_line(KeyError())
    ('no space left', 'KeyError')
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
