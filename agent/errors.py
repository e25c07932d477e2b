"""Everything that ends a diagnosis early, with the exit code it has.

::

    AgentError
    ├── UsageError (2)             no such script, syntax error, unknown metric or code
    ├── WorkloadError (3)          the untreated script fails or never trains
    └── InfrastructureError (4)    Ray, MLflow or the disk fails us
"""

from __future__ import annotations

from typing import ClassVar


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
