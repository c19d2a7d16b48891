"""A YAML file as a tree of nodes that know their line and path, so that each error names both.

Scalars stay text: ``2.10`` does not become a number, nor ``no`` a boolean; the type of a field decides. Aliases and
merge keys (``<<``) work, within a limit on what they expand to.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tfserve.config.interpolation import InterpolationError, interpolate
from tfserve.errors import Names, TfserveError, UsageError, python_names
from tfserve.spec.field_parsers import Scalar, unknown_field

__all__ = ["STANDARD_INPUT", "Document", "YamlNode", "read_document"]

STANDARD_INPUT = Path("-")

_MAX_BYTES = 256 << 10
_MAX_NODES = 50_000
_MAX_DEPTH = 40
_MERGE_TAG = "tag:yaml.org,2002:merge"
_NULL_TAG = "tag:yaml.org,2002:null"
_HINTS = {
    "undefined alias": "Define the anchor (&name) above its alias (*name); quote text that begins with *.",
    "duplicate anchor": "Give each anchor (&name) a different name.",
    "another document": "Remove the line ---: a file holds one document.",
    "that cannot start any token": "Quote text that begins with a special character; indent with spaces, not tabs.",
    "a character that YAML does not allow": "Remove it.",
    "nested too deep": "Close every bracket, and reduce the nesting.",
}  # by PyYAML's messages
_HINT = "tfserve schema prints which fields and values are valid."
_INDENTATION = "Check the indentation, and that brackets and quotes are closed."


class Document:
    """What all nodes of one file share: its name, the variables, its words, and how many nodes were visited."""

    def __init__(self, file: str, variables: Mapping[str, str], names: Names) -> None:
        self.file = file
        self.variables = variables
        self.names = names
        self.visited = 0


@dataclass(frozen=True)
class YamlNode:
    """One mapping, sequence or scalar of a document.

    Attributes:
        document: the file.
        node: PyYAML's node.
        path: the way to it, such as ``servers.prod.models[0]``.
        depth: how many nodes it is inside of.
    """

    document: Document
    node: Any
    path: str
    depth: int = 0

    @property
    def line(self) -> int:
        """The line where it begins, counted from 1."""
        return int(self.node.start_mark.line) + 1

    @property
    def kind(self) -> str:
        """``mapping``, ``sequence``, ``nothing``, ``string`` for a quoted scalar, else ``scalar``."""
        if self.node.id != "scalar":
            return str(self.node.id)
        if self.node.style:
            return "string"
        return "nothing" if self.node.tag == _NULL_TAG else "scalar"

    def fail(self, problem: str, hint: str | None = None) -> NoReturn:
        """Raises UsageError with file, line and path before `problem`, a sentence."""
        error = UsageError(problem, hint=hint)
        self.locate(error)
        raise error

    def locate(self, error: TfserveError) -> None:
        """Adds file, line and path to an error about this node, or about one below it, unless it has them."""
        if not error.located:
            node = self.at(error.about)
            place = f"{self.document.file}, line {node.line}"
            error.hint_wording = error.hint_wording or _HINT
            error.reword(self.document.names, f"{place}, {node.path}" if node.path else place)
            error.located = True

    @contextmanager
    def located(self) -> Iterator[None]:
        """Adds file, line and path to the errors in the block."""
        try:
            yield
        except TfserveError as error:
            self.locate(error)
            raise

    def plain(self) -> Any:
        """The node as plain data: mappings, lists, None, and scalars as text; variables are resolved.

        Raises:
            UsageError: a variable is not set, or a key is not valid.
        """
        if self.kind == "mapping":
            return {key: node.plain() for key, node in self.fields("a mapping").items()}
        if self.kind == "sequence":
            return [node.plain() for node in self.items("a list")]
        if self.kind == "nothing":
            return None
        text = self.text("text")
        return Scalar(text, quoted=self.kind == "string" and text == self.node.value)

    def find(self, keys: Sequence[str | int]) -> YamlNode | None:
        """The node below this one at `keys` of mappings and indices of sequences; None if there is none."""
        if not keys:
            return self
        below: dict[str | int, YamlNode] = {}
        if self.kind == "mapping":
            below.update(self.fields("a mapping"))
        elif self.kind == "sequence":
            below.update(enumerate(self.items("a list")))
        return below[keys[0]].find(keys[1:]) if keys[0] in below else None

    def at(self, keys: Sequence[str | int]) -> YamlNode:
        """The deepest node that exists on the way that `keys` describe."""
        return next(filter(None, (self.find(keys[:length]) for length in range(len(keys), -1, -1))), self)

    def expected(self, what: str, hint: str | None = None) -> NoReturn:
        """Raises UsageError: another kind of node was found than `what`."""
        shown = {"mapping": "a mapping", "sequence": "a list", "nothing": "nothing"}.get(self.kind)
        self.fail(f"Expected {what}, found {shown or repr(str(self.node.value)[:80])}.", hint)

    def text(self, what: str) -> str:
        """The text of a scalar, with variables resolved.

        Raises:
            UsageError: it is not a scalar, or a variable is not set.
        """
        if self.kind not in ("scalar", "string"):
            self.expected(what)
        try:
            return interpolate(self.node.value, self.document.variables)
        except InterpolationError as error:
            self.fail(f"{error}.", error.hint)

    def items(self, what: str) -> list[YamlNode]:
        """The nodes of a sequence."""
        if self.kind != "sequence":
            self.expected(what)
        return [self._node(node, f"{self.path}[{index}]") for index, node in enumerate(self.node.value)]

    def fields(self, what: str, known: Iterable[str] | None = None, *, extensions: bool = False) -> dict[str, YamlNode]:
        """The nodes of a mapping, by key; keys of merged mappings come last.

        Args:
            what: what was expected, for an error.
            known: the valid keys; None for any.
            extensions: whether keys that begin with ``x-`` are valid too; they are ignored.

        Raises:
            UsageError: it is not a mapping, or a key is unknown, duplicate or not text.
        """
        found: dict[str, Any] = {}
        for key, node in self._pairs(what):
            if not (extensions and key.startswith("x-")):
                found.setdefault(key, node)
        nodes = {key: self._node(node, self._below(key)) for key, node in found.items()}
        names = None if known is None else list(known)
        for key in nodes:
            if names is not None and key not in names:
                error = unknown_field(key, names)
                self.locate(error)
                raise error
        return nodes

    def _pairs(self, what: str) -> Iterator[tuple[str, Any]]:
        """Yields keys and nodes of a mapping, its own before merged ones."""
        if self.kind != "mapping":
            self.expected(what)
        seen: dict[str, int] = {}
        merged: list[YamlNode] = []
        for key, value in self.node.value:
            key_node = self._node(key, self.path)
            if key.tag == _MERGE_TAG:
                below = self._node(value, self._below("<<"))
                merged += below.items("mappings to merge") if below.kind == "sequence" else [below]
                continue
            if key_node.kind not in ("scalar", "string"):
                key_node.fail("A key has to be text.", "Quote it.")
            if key.value in seen:
                self._node(key, self._below(key.value)).fail(
                    f"The key is a duplicate of line {seen[key.value]}.", "Remove one of them."
                )
            seen[key.value] = key_node.line
            yield key.value, value
        for node in merged:
            yield from node._pairs("a mapping to merge")

    def _below(self, key: str) -> str:
        key = key[:80]
        return f"{self.path}.{key}" if self.path else key

    def _node(self, node: Any, path: str) -> YamlNode:
        self.document.visited += 1
        found = YamlNode(self.document, node, path, self.depth + 1)
        if found.depth > _MAX_DEPTH:
            found.fail(
                "Nested too deeply, or an alias of a node that contains it.", "Check where aliases (*name) lead."
            )
        if self.document.visited > _MAX_NODES:
            found.fail("The file is too large once its aliases are expanded.", "Split it into several files.")
        return found


def read_document(path: Path, variables: Mapping[str, str], names: Names = python_names) -> YamlNode:
    """Reads a YAML file.

    Args:
        path: the file, or `STANDARD_INPUT`.
        variables: for ``${NAME}``.
        names: how the file writes attributes of a spec.

    Raises:
        UsageError: it cannot be read, is not UTF-8, is empty, too big, or not one document of YAML.
    """
    file = "standard input" if path == STANDARD_INPUT else str(path)
    document = Document(file, variables, names)
    text = _text(path)
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        whole = isinstance(error, yaml.composer.ComposerError)  # other contexts describe PyYAML's own steps
        problem = ", ".join(filter(None, (error.context if whole else None, error.problem))) or error.context
        raise _broken(f"{file}{where}: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _broken(f"{file}, line {line}: a character that YAML does not allow: {error.character!r}") from None
    except RecursionError:
        raise _broken(f"{file}: nested too deep") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _broken(f"{file}: {error}") from None
    if node is None:
        raise UsageError(f"{file} is empty.", hint="Create a file with tfserve init MODEL_DIR")
    return YamlNode(document, node, "")


def _broken(problem: str) -> UsageError:
    hint = next((hint for words, hint in _HINTS.items() if words in problem), _INDENTATION)
    return UsageError(f"{problem.rstrip('.')}.", hint=hint)


def _text(path: Path) -> str:
    hint = "Name the file with -f, or create one: tfserve init MODEL_DIR"
    try:
        if path == STANDARD_INPUT:
            content = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            if not path.is_file():  # reading a pipe or a device might never end
                raise UsageError(f"{path} is not a file." if path.exists() else f"There is no file {path}.", hint=hint)
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path} cannot be read: {reason}.", hint=hint) from None
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{path} is over {_MAX_BYTES >> 10} KiB.", hint=hint)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}, line {line}: not UTF-8.", hint="Save the file as UTF-8.") from None
