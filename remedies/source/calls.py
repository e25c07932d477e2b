"""Calls in the user's file that can be written anew."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import libcst as cst

from probes.facts import ModuleInfo
from remedies.source.errors import Unwritable
from remedies.source.file import SourceFile
from remedies.source.imports import import_beside
from remedies.source.numbers import times


@dataclass(frozen=True)
class CallSite:
    """A call of something imported.

    Attributes:
        file: The file that it is in.
        node: The call.
        name: Full name of what is called, ``torch.nn.BatchNorm1d``.
        modules: The modules that it made.
    """

    file: SourceFile
    node: cst.Call
    name: str
    modules: tuple[ModuleInfo, ...] = ()

    def arguments(self, *signature: str) -> dict[str, str]:
        """The arguments as they are written, by their names.

        Args:
            signature: Names of the positional parameters.

        Raises:
            Unwritable: There are starred arguments, or more than the signature has.
        """
        found = {}
        for number, arg in enumerate(self.node.args):
            if arg.star or (arg.keyword is None and number >= len(signature)):
                raise Unwritable(f"the arguments of {self.name} cannot be told")
            key = arg.keyword.value if arg.keyword else signature[number]
            found[key] = self.file.code(arg.value)
        return found

    def reaches(self, line: int) -> bool:
        """Whether a line is within the call."""
        first, last = self.file.lines(self.node)
        return first <= line <= last

    def write(self, kind: str, positional: Sequence[str], keywords: dict[str, str]) -> None:
        """Call another class of the same package instead, with these arguments.

        Raises:
            Unwritable: A comment or a name is in the way.
        """
        if "#" in self.file.code(self.node):
            raise Unwritable(f"there is a comment within the call of {self.name}")
        args = [self._argument(None, code) for code in positional]
        args += [self._argument(key, code) for key, code in keywords.items()]
        arranged = _arranged(self.node.args, args)
        function = self._function(kind)
        self.file.edit(self.node, lambda call: call.with_changes(func=function, args=arranged))

    def scale(self, keyword: str, factor: float, *signature: str) -> None:
        """Multiply the value of an argument.

        Args:
            keyword: Its name.
            factor: By what.
            signature: Names of the positional parameters.

        Raises:
            Unwritable: There is no such argument in the call.
        """
        old = self._value(keyword, signature)
        if old is None:
            raise Unwritable(f"{self.name} is called without {keyword}=")
        value = self.file.parse(times(self.file.code(old), factor))
        self.file.edit(old, lambda _: value)

    def set(self, keyword: str, code: str, *signature: str) -> None:
        """Give an argument another value, or add it to the others as a keyword.

        Args:
            keyword: Its name.
            code: Its value.
            signature: Names of the positional parameters.

        Raises:
            Unwritable: It may be among starred arguments, or a comment is in the way.
        """
        old = self._value(keyword, signature)
        if old is not None:
            self.file.edit(old, lambda _: self.file.parse(code))
            return
        if any(arg.star == "**" for arg in self.node.args):
            raise Unwritable(f"{keyword} may be among the starred arguments of {self.name}")
        if "#" in self.file.code(self.node):
            raise Unwritable(f"there is a comment within the call of {self.name}")
        args = [*self.node.args, self._argument(keyword, code)]
        arranged = _arranged(self.node.args, args)
        self.file.edit(self.node, lambda call: call.with_changes(args=arranged))

    def _value(self, keyword: str, signature: tuple[str, ...]) -> cst.BaseExpression | None:
        """What is given for a parameter."""
        for number, arg in enumerate(self.node.args):
            if arg.star == "*":
                break
            if arg.keyword is not None and arg.keyword.value == keyword:
                return arg.value
            if (
                arg.keyword is None
                and not arg.star
                and signature[number : number + 1] == (keyword,)
            ):
                return arg.value
        return None

    def _argument(self, keyword: str | None, code: str) -> cst.Arg:
        if keyword is None:
            return cst.Arg(self.file.parse(code))
        tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
        return cst.Arg(self.file.parse(code), keyword=cst.Name(keyword), equal=tight)

    def _function(self, kind: str) -> cst.BaseExpression:
        function = self.node.func
        if kind == self.name.rpartition(".")[2]:
            return function
        if isinstance(function, cst.Attribute):
            return function.with_changes(attr=cst.Name(kind))
        import_beside(self.file, self.name, kind)
        return cst.Name(kind)


def calls_at(file: SourceFile, line: int, name: str) -> list[cst.Call]:
    """The calls of something imported that are made from a line."""
    return [
        call
        for call in file.nodes(cst.Call)
        if file.lines(call.func)[1] == line and file.imported(call.func) == name
    ]


def calls_of(file: SourceFile, names: Collection[str]) -> list[CallSite]:
    """All calls of something imported.

    Raises:
        Unwritable: It goes by another way than by calls of its name, in a ``partial`` for example.
    """
    calls = [(call, file.imported(call.func) or "") for call in file.nodes(cst.Call)]
    called = {call.func for call, name in calls if name in names}
    for node in file.everything():
        if isinstance(node, cst.Name | cst.Attribute) and file.imported(node) in names:
            above = next(file.above(node))
            inside = {node, above} & called or isinstance(above, cst.ImportAlias | cst.AsName)
            if not inside:
                raise Unwritable(f"{file.code(node)} is used other than by calling it")
    return [CallSite(file, call, name) for call, name in calls if name in names]


def _arranged(old: Sequence[cst.Arg], new: Sequence[cst.Arg]) -> list[cst.Arg]:
    """The new arguments with the commas and line breaks of the old ones."""
    if not new:
        return []
    plain = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    if not old or not new:
        return [arg.with_changes(comma=plain) for arg in new[:-1]] + list(new[-1:])
    between = old[0].comma if len(old) > 1 else plain
    last = new[-1].with_changes(
        comma=old[-1].comma, whitespace_after_arg=old[-1].whitespace_after_arg
    )
    return [*(arg.with_changes(comma=between) for arg in new[:-1]), last]
