"""How high a function rises that a schedule multiplies its rate by, where it is safe to ask it."""

from __future__ import annotations

import builtins
import dis
import math
import weakref
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

_MODULES = ("math", "numpy")
_MATHEMATICS = {n for n in vars(math) if not n.startswith("_")} | {"maximum", "minimum", "power"}
_FUNCTIONS = (
    *(abs, float, int, len, max, min, pow, round),
    *(value for value in vars(math).values() if isinstance(value, BuiltinFunctionType)),
)
_REFUSED = (
    *("STORE_GLOBAL", "STORE_DEREF", "STORE_ATTR", "STORE_SUBSCR", "STORE_SLICE", "DELETE_"),
    *("IMPORT_", "JUMP_BACKWARD"),  # Loops may take long far out.
)
_FARTHEST = 10**6
_DENSITY = 1.25
_DEPTH = 4
_known: weakref.WeakKeyDictionary[FunctionType, float | None] = weakref.WeakKeyDictionary()


def peak(function: object) -> float | None:
    """The highest of a function's values at positions from 0 to a million, ever further apart.

    None where it is more than plain arithmetic: what a program does when it is asked by us, it must
    not be able to notice.

    >>> peak(lambda step: min((step + 1) ** -0.5, (step + 1) * 100 ** -1.5)) > 0.09
    True
    >>> peak(lambda step: print(step)) is None
    True
    """
    if not isinstance(function, FunctionType):
        return None
    if function not in _known:
        _known[function] = _highest(function) if _is_arithmetic(function, _DEPTH) else None
    return _known[function]


def _highest(function: FunctionType) -> float | None:
    found, position = [], 0
    try:
        while position <= _FARTHEST:
            found.append(float(function(position)))
            position = max(position + 1, int(position * _DENSITY))
    except Exception:  # It may be defined for the steps of its run alone.
        pass
    return max((value for value in found if math.isfinite(value)), default=None)


def _is_arithmetic(function: object, depth: int) -> bool:
    """Whether a function computes numbers of numbers, and does nothing else."""
    if not isinstance(function, FunctionType) or not depth:
        return False
    code = function.__code__
    steps = list(dis.get_instructions(code))
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    given = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    known = function.__globals__
    named = [known.get(name, vars(builtins).get(name)) for name in _globals(code)]
    attributes = set(code.co_names) - set(_globals(code))
    return (
        not any(isinstance(constant, CodeType) for constant in code.co_consts)
        and not any(part in step.opname for step in steps for part in _REFUSED)
        and attributes <= _MATHEMATICS
        and all(_is_harmless(value, depth) for value in [*cells, *given, *named])
    )


def _is_harmless(value: object, depth: int) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__ in _MODULES
    if isinstance(value, BuiltinFunctionType | type):
        return any(value is function for function in _FUNCTIONS)
    return value is None or isinstance(value, int | float) or _is_arithmetic(value, depth - 1)


def _globals(code: CodeType) -> list[str]:
    steps = dis.get_instructions(code)
    return [str(step.argval) for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")]


def _is_filled(cell: Any) -> bool:
    try:
        return bool(cell.cell_contents is not cell)
    except ValueError:
        return False
