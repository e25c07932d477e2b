"""The arguments of a script as settings, without knowing the parser that will read them."""

from remedies.arguments.command_line import ALL_ARGUMENTS, CommandLine
from remedies.arguments.difference import Difference, differences

__all__ = ["ALL_ARGUMENTS", "CommandLine", "Difference", "differences"]
