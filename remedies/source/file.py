"""One file of the user, and what is to be changed in it."""

from __future__ import annotations

import tokenize
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import libcst as cst
from libcst.metadata import (
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    QualifiedNameProvider,
    QualifiedNameSource,
)

from remedies.source.errors import Unwritable

Node = TypeVar("Node", bound=cst.CSTNode)
Edit = Callable[[Any], Any]


class SourceFile:
    """A parsed file. Edits are collected and made all at once, so that lines stay where they are.

    Args:
        path: The file.

    Raises:
        Unwritable: It cannot be read, parsed and written again without a difference.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = _read(path)
        try:
            wrapper = MetadataWrapper(cst.parse_module(self.text))
        except cst.ParserSyntaxError as error:
            raise Unwritable(f"{path} cannot be parsed") from error
        if wrapper.module.code != self.text:
            raise Unwritable(f"{path} would not stay as it is")
        self.tree = wrapper.module
        self._positions = wrapper.resolve(PositionProvider)
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._names = wrapper.resolve(QualifiedNameProvider)
        self._edits: dict[cst.CSTNode, list[Edit]] = {}

    def nodes(self, kind: type[Node], root: cst.CSTNode | None = None) -> Iterator[Node]:
        """All nodes of a kind, in the order of the text."""
        return (node for node in self.everything(root) if isinstance(node, kind))

    def everything(self, root: cst.CSTNode | None = None) -> Iterator[cst.CSTNode]:
        """A node, or the whole file, and all nodes inside it, in the order of the text."""
        stack: list[cst.CSTNode] = [root or self.tree]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def above(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes that contain a node, innermost first."""
        parent = self._parents.get(node)
        while parent is not None:
            yield parent
            parent = self._parents.get(parent)

    def scope(self, node: cst.CSTNode) -> cst.CSTNode:
        """The function that a node is in, or the whole file."""
        functions = (up for up in self.above(node) if isinstance(up, cst.FunctionDef))
        return next(functions, self.tree)

    def lines(self, node: cst.CSTNode) -> tuple[int, int]:
        """First and last line of a node."""
        place = self._positions[node]
        return place.start.line, place.end.line

    def imported(self, node: cst.CSTNode) -> str | None:
        """Full name of what an expression imports, ``torch.nn.BatchNorm1d``, if it is certain."""
        value: Any = self._names.get(node, set())
        found = list(value() if callable(value) else value)
        if len(found) == 1 and found[0].source is QualifiedNameSource.IMPORT:
            return str(found[0].name)
        return None

    def mentions(self, *names: str) -> bool:
        """Whether any of these names is used in the file."""
        return any(node.value in names for node in self.nodes(cst.Name))

    def assigns(self, attribute: str) -> bool:
        """Whether an attribute of this name is set somewhere in the file."""
        places = [node.target for node in self.nodes(cst.AssignTarget)]
        places += [node.target for node in self.nodes(cst.AugAssign)]
        named = any(isinstance(p, cst.Attribute) and p.attr.value == attribute for p in places)
        texts = (node.evaluated_value for node in self.nodes(cst.SimpleString))
        return named or attribute in texts  # A text: setattr, or the key of a setting.

    def assigned_to(self, written: str) -> list[cst.BaseExpression]:
        """The values that a variable or an attribute, ``self.loss``, is given anywhere."""
        return [
            assignment.value
            for assignment in self.nodes(cst.Assign)
            if written in [self.code(each.target) for each in assignment.targets]
        ]

    def code(self, node: cst.CSTNode) -> str:
        """The text of a node."""
        return self.tree.code_for_node(node)

    def parse(self, code: str) -> cst.BaseExpression:
        """The node of an expression."""
        return cst.parse_expression(code, config=self.tree.config_for_parsing)

    def everything_in(self, code: str) -> list[cst.BaseExpression]:
        """The expressions that an expression is made of, itself included."""
        return [n for n in self.everything(self.parse(code)) if isinstance(n, cst.BaseExpression)]

    def edit(self, node: cst.CSTNode, edit: Edit) -> None:
        """Have a node replaced by what ``edit`` makes of it, after all edits inside it."""
        self._edits.setdefault(node, []).append(edit)

    @property
    def asked_for(self) -> dict[cst.CSTNode, list[Edit]]:
        """The edits so far."""
        return {node: list(edits) for node, edits in self._edits.items()}

    def ask_for(self, edits: dict[cst.CSTNode, list[Edit]]) -> None:
        """Have these edits made and no others."""
        self._edits = edits

    @property
    def edited(self) -> str:
        """The text with all edits made.

        Raises:
            Unwritable: It would be no Python any more.
        """
        text: str = self.tree.visit(_Editor(self._edits)).code
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(text, str(self.path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise Unwritable(f"{self.path} would be no Python any more") from error
        return text


class _Editor(cst.CSTTransformer):
    def __init__(self, edits: dict[cst.CSTNode, list[Edit]]) -> None:
        super().__init__()
        self._edits = edits

    def on_leave(self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT) -> Any:
        changed: Any = updated_node
        for edit in self._edits.get(original_node, ()):
            changed = edit(changed)
        return changed


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            encoding, _ = tokenize.detect_encoding(file.readline)
        if encoding != "utf-8":
            raise Unwritable(f"{path} is not plain UTF-8")
        return path.read_bytes().decode()
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise Unwritable(f"{path} cannot be read") from error
