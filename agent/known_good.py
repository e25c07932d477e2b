"""The known-good configuration: which settings differ from it, and which of them look guilty."""

from __future__ import annotations

import ast
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.errors import UsageError
from remedies.arguments import CommandLine, Difference, differences

_OPTION = re.compile(r"""["'](--[A-Za-z][\w-]*)["']""")
_SWITCH = re.compile(r"""["']--([A-Za-z][\w-]*)["'][^)]*BooleanOptionalAction""")
_BOOLEANS = {"true": True, "false": False}
_SUSPECTS = {
    4.0: {"lr", "learning", "rate"},
    3.0: {"warmup", "clip", "clipping", "optimizer", "optim", "schedule", "scheduler"},
    2.0: {
        "momentum", "beta", "betas", "beta1", "beta2", "eps", "init", "norm", "amp", "fp16",
        "bf16", "precision", "dtype", "loss", "weight", "temperature", "decay",
    },
    0.3: {
        "seed", "log", "name", "verbose", "print", "save", "output", "out", "dir", "device",
        "workers", "project", "wandb", "tag", "notes",
    },
}  # fmt: skip
"""How often a setting with such a word in its name breaks a training, against other settings."""


def split_arguments(text: str, script: Path) -> tuple[str, ...]:
    """The arguments of ``--good``; a repeated ``python train.py`` before them is left out.

    Raises:
        UsageError: A quotation mark is open.

    >>> split_arguments("python src/train.py --lr 0.1", Path("/home/me/src/train.py"))
    ('--lr', '0.1')
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--good {text!r} cannot be read: {str(error).lower()}") from error
    if words and re.fullmatch(r"python[\d.]*", words[0]):
        words = words[1:]
    if words and words[0].endswith(".py") and Path(words[0]).name == script.name:
        words = words[1:]
    return tuple(words)


def differing(bad: Sequence[str], good: Sequence[str], origin: str) -> list[Difference]:
    """The settings that differ, those that look guilty first.

    Args:
        bad: The arguments to diagnose.
        good: Those that worked.
        origin: Where they come from, for the message.

    Raises:
        UsageError: None differs.
    """
    found = differences(bad, good)
    if not found:
        raise UsageError(f"{origin} has the same settings as the arguments of the script")
    return sorted(found, key=lambda difference: -suspicion(difference))


def suspicion(difference: Difference) -> float:
    """How likely a setting is to be the fault, relative to others; above 0.

    By its name, and by how far a number was moved: an order of magnitude counts as much as
    another such name. It decides about the order of the tests, not about what they say.

    >>> rate = Difference("--lr", "--lr 0.3", "--lr 0.003")
    >>> suspicion(rate) > suspicion(Difference("--lr", "--lr 0.3", "--lr 0.2"))
    True
    >>> suspicion(rate) > suspicion(Difference("--seed", "--seed 1", "--seed 100"))
    True
    """
    words = set(re.split(r"[^a-z0-9]+", difference.name.lower()))
    prior = next((weight for weight, known in _SUSPECTS.items() if words & known), 1.0)
    old, new = _number(difference.bad), _number(difference.good)
    if not old or not new:
        return prior * 2
    return prior * (1 + min(3.0, abs(math.log10(abs(old / new)))))


def _number(quoted: str) -> float | None:
    """The number that a setting ends with."""
    last = re.split(r"[\s=]", quoted)[-1]
    try:
        value = float(last)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def arguments_of_run(
    params: Mapping[str, str], bad: Sequence[str], script: Path
) -> tuple[tuple[str, ...], list[str]]:
    """The arguments that would give a script the parameters of a logged run.

    A parameter that the bad arguments set is set in the same way. One that they do not set is an
    option where the script's source names it as one, and ``key=value`` where the bad arguments are
    of that kind and the source has the word; anything else that a run logs (a commit, the number
    of weights) is no setting.

    Args:
        params: Logged parameters by name.
        bad: The arguments to diagnose.
        script: Its file.

    Returns:
        The arguments, and the names of the parameters that are no settings of the script.
    """
    line = CommandLine.read(bad)
    source = script.read_text(encoding="utf-8", errors="replace")
    named = [*_OPTION.findall(source), *(f"--no-{name}" for name in _SWITCH.findall(source))]
    options = {_plain(option): option for option in named}
    keyed = any(not p.positional and not p.name.startswith("-") for p in line.pieces)
    ours = {_plain(name): name for name in line.names}
    left_out = []
    for param, text in params.items():
        name, values = ours.get(_plain(param)), _values(text)
        if name is not None:
            line = line.with_setting(name, _like(line.of(name)[-1].tokens, name, values))
        elif _plain(param) in options:
            line = _add_option(line, options, _plain(param), values)
        elif keyed and values and re.search(rf"\b{re.escape(param.split('.')[-1])}\b", source):
            line = line.with_setting(param, [f"{param}={text}"])
        else:
            left_out.append(param)
    return tuple(line), left_out


def _add_option(
    line: CommandLine, options: Mapping[str, str], key: str, values: list[str]
) -> CommandLine:
    """The line with an option that it does not have; a flag that is off needs none."""
    option = options[key]
    if values and (state := _BOOLEANS.get(values[0].lower())) is not None:
        off = options.get(f"no-{key}")
        tokens = [option] if state else [off] if off else []
    else:
        tokens = [option, *values] if values else []
    return line.with_setting(option, tokens)


def _like(tokens: Sequence[str], name: str, values: list[str]) -> list[str]:
    """Other values for a setting, written in the same way."""
    head, equals, _ = tokens[0].partition("=")
    state = _BOOLEANS.get(values[0].lower()) if len(values) == 1 else None
    if len(tokens) == 1 and not equals and state is not None:
        written = re.sub(r"^--no[-_]", "--", tokens[0])
        was = written == tokens[0]
        # A flag that is off is left out; one that had to be switched off is on without that.
        return list(tokens) if state == was else [] if was else [written]
    if not values:
        return []
    if equals:
        return [f"{head}={' '.join(values)}"]
    return [tokens[0], *values] if tokens[0].startswith("-") else values


def _values(text: str) -> list[str]:
    """What a logged value is on a command line: lists are several words, None is none."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return [text] if text else []
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    return [] if value is None else [text]


def _plain(name: str) -> str:
    return name.lstrip("-").replace("_", "-")
