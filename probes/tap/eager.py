"""Lets compiled parts of the program run eagerly while they are watched."""

from __future__ import annotations

import sys
import warnings
from typing import Any

_WARNING = "Using `torch.compile\\(module\\)` when there are global hooks"


class EagerStance:
    """Switches `torch.compile` off and on again, without compiling anything anew.

    Hooks and function modes are for eager code: a compiler would take them for the program's own.
    What is compiled stays so, and is used again between the watched steps.
    """

    def __init__(self) -> None:
        self._before: Any = None
        self._for_good = False

    def switch_on(self) -> bool:
        """Run eagerly from the next call of a compiled function on.

        Returns:
            Whether nothing compiled is running now. Where something is, the program compiles its
            whole step: it runs eagerly for good, so that a later step can be watched.
        """
        frames = _eval_frame()
        if frames is None:
            return True
        if self._before is None:
            warnings.filterwarnings("ignore", _WARNING)  # They are ours.
            self._before = frames._stance
            frames._stance = frames.DynamoStance("force_eager")
        if _is_compiled_code_running():
            self._for_good = True
            return False
        return True

    def switch_off(self) -> None:
        """Let the program run compiled again."""
        if self._before is not None and not self._for_good:
            _eval_frame()._stance, self._before = self._before, None


def _eval_frame() -> Any:
    """Where the stance is; None where nothing can have been compiled."""
    return sys.modules.get("torch._dynamo.eval_frame")


def _is_compiled_code_running() -> bool:
    from torch._C._dynamo.eval_frame import get_eval_frame_callback

    return get_eval_frame_callback() not in (None, False)
