"""A YAML file as a tree of nodes that have a line and a path, so that each error names both.

Scalars are kept as text until the type of their field is known: ``2.10`` may be a version, and ``no`` a restart policy.
Aliases and merge keys (``<<``) are supported, with a limit on the size of their expansion.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tfserve.config.interpolation import InterpolationError, interpolate, variables_in
from tfserve.config.masking import masked
from tfserve.errors import Names, TfserveError, UsageError, python_names
from tfserve.host.files import read_bounded
from tfserve.spec.field_parsers import MismatchError, Scalar, unknown_field

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
    "nested too deeply": "Close every bracket, and reduce the nesting.",
}  # parts of PyYAML's messages -> hints
_HINT = "List the valid fields and values: tfserve schema"
_INDENTATION = "Check the indentation, and that brackets and quotes are closed."


class Document:
    """What all nodes of a file share: its name, variables and names of attributes; and what was read of it so far.

    Attributes:
        visited: the number of nodes.
        used: the names of the variables, as keys.
    """

    def __init__(self, file: str, variables: Mapping[str, str], names: Names) -> None:
        self.file = file
        self.variables = variables
        self.names = names
        self.visited = 0
        self.used: dict[str, None] = {}

    def masked(self, text: str, erroneous: Iterable[str] = ()) -> str:
        """Returns `text` without secret values of the variables that the file uses; see `masked`."""
        return masked(text, self.variables, self.used, tuple(erroneous))


@dataclass(frozen=True)
class YamlNode:
    """One mapping, sequence or scalar of a document.

    Attributes:
        document: the file.
        node: PyYAML's node.
        path: its path in the document, such as ``servers.prod.models[0]``.
        depth: how many nodes contain it.
    """

    document: Document
    node: Any
    path: str
    depth: int = 0

    @property
    def line(self) -> int:
        """The line in which it begins, counted from 1."""
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
        """Raises UsageError with `problem`, a sentence, after file, line and path."""
        error = UsageError(problem, hint=hint)
        self.locate(error)
        raise error

    def locate(self, error: TfserveError) -> None:
        """Adds file, line and path to an error about this node or a node below it, unless the error has them.

        In the error, values that the file takes from variables are shown as the file has them.
        """
        if not error.located:
            node = self.at(error.about)
            place = f"{self.document.file}, line {node.line}"
            error.hint_wording = error.hint_wording or _HINT
            error.reword(self.document.names, f"{place}, {node.path}" if node.path else place)
            names = [name for text in _scalars(node.node) for name in variables_in(text)]
            error.rewrite(lambda text: self.document.masked(text, names))
            error.located = True

    def plain(self) -> Any:
        """Returns the node as plain data: mappings, lists, None, and scalars as text, with variables resolved.

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
        return Scalar(text, quoted=self.kind == "string" and text == self.node.value, written=self.node.value)

    def find(self, keys: Sequence[str | int]) -> YamlNode | None:
        """Returns the node at a path of keys and indices below this node; None if there is none."""
        if not keys:
            return self
        children: dict[str | int, YamlNode] = {}
        if self.kind == "mapping":
            children.update(self.fields("a mapping"))
        elif self.kind == "sequence":
            children.update(enumerate(self.items("a list")))
        return children[keys[0]].find(keys[1:]) if keys[0] in children else None

    def at(self, keys: Sequence[str | int]) -> YamlNode:
        """Returns the deepest node that exists on a path of keys and indices below this node."""
        return next(filter(None, (self.find(keys[:length]) for length in range(len(keys), -1, -1))), self)

    def expected(self, what: str, hint: str | None = None) -> NoReturn:
        """Raises UsageError, because `what` was expected and the node is something else."""
        empty: dict[str, object] = {"mapping": {}, "sequence": [], "nothing": None}
        error = MismatchError(what, empty.get(self.kind, self.node.value), hint)
        self.locate(error)
        raise error

    def text(self, what: str) -> str:
        """Returns the text of a scalar, with variables resolved.

        Raises:
            UsageError: it is not a scalar, or a variable is not set.
        """
        if self.kind not in ("scalar", "string"):
            self.expected(what)
        self.document.used.update(dict.fromkeys(variables_in(self.node.value)))
        try:
            return interpolate(self.node.value, self.document.variables)
        except InterpolationError as error:
            self.fail(f"{error}.", error.hint)

    def items(self, what: str) -> list[YamlNode]:
        """Returns the nodes of a sequence."""
        if self.kind != "sequence":
            self.expected(what)
        return [self._child(node, f"{self.path}[{index}]") for index, node in enumerate(self.node.value)]

    def fields(self, what: str, known: Iterable[str] | None = None, *, extensions: bool = False) -> dict[str, YamlNode]:
        """Returns the nodes of a mapping, by key; keys of merged mappings come last.

        Args:
            what: what is expected here, for errors.
            known: the valid keys; None for any.
            extensions: whether to ignore keys that begin with ``x-``.

        Raises:
            UsageError: it is not a mapping, or a key is unknown, duplicate or not text.
        """
        found: dict[str, Any] = {}
        for key, node in self._pairs(what):
            if not (extensions and key.startswith("x-")):
                found.setdefault(key, node)
        nodes = {key: self._child(node, self._path_of(key)) for key, node in found.items()}
        names = None if known is None else list(known)
        for key in nodes:
            if names is not None and key not in names:
                error = unknown_field(key, names)
                self.locate(error)
                raise error
        return nodes

    def _pairs(self, what: str) -> Iterator[tuple[str, Any]]:
        """Yields the keys and nodes of a mapping: its own before those of merged mappings."""
        if self.kind != "mapping":
            self.expected(what)
        seen: dict[str, int] = {}
        merged: list[YamlNode] = []
        for key, value in self.node.value:
            key_node = self._child(key, self.path)
            if key.tag == _MERGE_TAG:
                source = self._child(value, self._path_of("<<"))
                merged += source.items("a list of mappings to merge") if source.kind == "sequence" else [source]
                continue
            if key_node.kind not in ("scalar", "string"):
                key_node.fail("A key has to be text.", "Put it in quotes.")
            if key.value in seen:
                self._child(key, self._path_of(key.value)).fail(
                    f"The key is also in line {seen[key.value]}.", "Remove one of them."
                )
            seen[key.value] = key_node.line
            yield key.value, value
        for node in merged:
            yield from node._pairs("a mapping to merge")

    def _path_of(self, key: str) -> str:
        key = key[:80]
        return f"{self.path}.{key}" if self.path else key

    def _child(self, node: Any, path: str) -> YamlNode:
        self.document.visited += 1
        child = YamlNode(self.document, node, path, self.depth + 1)
        if child.depth > _MAX_DEPTH:
            child.fail(
                "It is nested too deeply, or is an alias of a node that contains it.",
                "Check what the aliases (*name) refer to.",
            )
        if self.document.visited > _MAX_NODES:
            child.fail("The file is too large once its aliases are expanded.", "Split it into several files.")
        return child


def _scalars(top: Any) -> Iterator[str]:
    """Yields the text of the scalars in one of PyYAML's nodes, which an alias can make a part of itself."""
    seen: dict[int, Any] = {}
    pending = [top]
    while pending:
        node = pending.pop()
        if node.id == "scalar":
            yield node.value
        elif id(node) not in seen:
            seen[id(node)] = node
            pending += node.value if node.id == "sequence" else (part for pair in node.value for part in pair)


def read_document(path: Path, variables: Mapping[str, str], names: Names = python_names) -> YamlNode:
    """Reads a YAML file.

    Args:
        path: the file, or `STANDARD_INPUT`.
        variables: the environment variables, for ``${NAME}``.
        names: how errors write attributes of a spec.

    Raises:
        UsageError: it cannot be read, is not UTF-8, is empty or too large, or is not a single YAML document.
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
        # Only the context of a ComposerError concerns the document; others describe PyYAML's own steps.
        context = error.context if isinstance(error, yaml.composer.ComposerError) else None
        problem = ", ".join(filter(None, (context, error.problem))) or error.context
        raise _invalid(f"{file}{where}: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _invalid(f"{file}, line {line}: a character that YAML does not allow: {error.character!r}") from None
    except RecursionError:
        raise _invalid(f"{file}: nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _invalid(f"{file}: {error}") from None
    if node is None:
        raise UsageError(f"{file} is empty.", hint="Create a file with tfserve init MODEL_DIR")
    return YamlNode(document, node, "")


def _invalid(problem: str) -> UsageError:
    hint = next((hint for words, hint in _HINTS.items() if words in problem), _INDENTATION)
    return UsageError(f"{problem.rstrip('.')}.", hint=hint)


def _text(path: Path) -> str:
    hint = "Choose another file with -f, or create one: tfserve init MODEL_DIR"
    source = sys.stdin.buffer if path == STANDARD_INPUT else path
    content = read_bounded(source, _MAX_BYTES, what=str(path), hint=hint, regular=True)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}, line {line}: The text is not UTF-8.", hint="Save the file as UTF-8.") from None
