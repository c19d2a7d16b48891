"""A YAML file as a tree whose every part knows where it stands, so that each complaint names file, line and path.

YAML is read into nodes, not into values: a scalar stays the text that was written (``2.10`` is no number, ``no`` no
bool) until the field it is for says what it is to be. Aliases and merge keys (``<<``) work; what they could blow up is
counted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tfserve.config.interpolation import InterpolationError, interpolate
from tfserve.errors import Names, TfserveError, UsageError, python_names
from tfserve.text import did_you_mean

__all__ = ["STANDARD_INPUT", "Document", "Part", "read_document"]

STANDARD_INPUT = Path("-")

_MAX_BYTES = 256 << 10
_MAX_PARTS = 50_000
_MAX_DEPTH = 40
_MERGE_TAG = "tag:yaml.org,2002:merge"
_NULL_TAG = "tag:yaml.org,2002:null"
_HINTS = {
    "undefined alias": "An alias (*name) takes what an anchor (&name) above it marks; quote a text that begins with *.",
    "duplicate anchor": "Give each anchor (&name) a name of its own.",
    "another document": "Leave the line --- out: a file holds one document.",
    "that cannot start any token": "Quote a text that begins with a sign of YAML's own; indent with spaces, not tabs.",
    "a character that YAML does not allow": "Take it out.",
    "nested too deep": "Close each bracket, and write less into each other.",
}  # by what PyYAML says
_INDENTATION = "See that all that belongs together is indented alike, and that brackets and quotes are closed."


class Document:
    """What all parts of one file share: its name, the variables, its words, and how much of it was looked at."""

    def __init__(self, file: str, variables: Mapping[str, str], names: Names) -> None:
        self.file = file
        self.variables = variables
        self.names = names
        self.parts = 0


@dataclass(frozen=True)
class Part:
    """One mapping, sequence or scalar of a document.

    Attributes:
        document: the file.
        node: PyYAML's node.
        path: how one gets to it, such as ``servers.prod.models[0]``.
        depth: how deep it lies.
    """

    document: Document
    node: Any
    path: str
    depth: int = 0

    @property
    def line(self) -> int:
        """The line it begins in, counted from 1."""
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
        raise self.placed(UsageError(problem, hint=hint or "tfserve schema says what may stand there."))

    def placed(self, error: TfserveError) -> TfserveError:
        """Returns `error` with file, line and path of what it is about, here or below, in the words of the file."""
        if not error.located:
            part = self.at(error.about)
            place = f"{self.document.file}, line {part.line}"
            error.reword(self.document.names, f"{place}, {part.path}" if part.path else place)
            error.located = True
        return error

    def find(self, keys: Sequence[str | int]) -> Part | None:
        """The part to which `keys` of mappings and indices of sequences lead; None where there is none."""
        if not keys:
            return self
        below: dict[str | int, Part] = {}
        if self.kind == "mapping":
            below.update(self.fields("a mapping"))
        elif self.kind == "sequence":
            below.update(enumerate(self.items("a list")))
        return below[keys[0]].find(keys[1:]) if keys[0] in below else None

    def at(self, keys: Sequence[str | int]) -> Part:
        """The part that is on the way that `keys` lead, as far as there is one."""
        return next(filter(None, (self.find(keys[:length]) for length in range(len(keys), -1, -1))), self)

    def expected(self, what: str, hint: str | None = None) -> NoReturn:
        """Raises UsageError: something else was found than `what`."""
        shown = {"mapping": "a mapping", "sequence": "a list", "nothing": "nothing"}.get(self.kind)
        self.fail(f"expected {what}, found {shown or repr(str(self.node.value)[:80])}.", hint)

    def text(self, what: str) -> str:
        """The text of a scalar, with its variables.

        Raises:
            UsageError: it is no scalar, or a variable is not set.
        """
        if self.kind not in ("scalar", "string"):
            self.expected(what)
        try:
            return interpolate(self.node.value, self.document.variables)
        except InterpolationError as error:
            self.fail(f"{error}.", error.hint)

    def items(self, what: str) -> list[Part]:
        """The parts of a sequence."""
        if self.kind != "sequence":
            self.expected(what)
        return [self._part(node, f"{self.path}[{index}]") for index, node in enumerate(self.node.value)]

    def fields(self, what: str, known: Iterable[str] | None = None, *, extensions: bool = False) -> dict[str, Part]:
        """The parts of a mapping, by key; those that a merge key brings come last.

        Args:
            what: what it is, for a complaint.
            known: the keys it may have; None for any.
            extensions: whether keys that begin with ``x-`` may be there too, which are left out.

        Raises:
            UsageError: it is no mapping, a key is unknown, stands twice, or is no text.
        """
        found: dict[str, Any] = {}
        for key, node in self._pairs(what):
            if not (extensions and key.startswith("x-")):
                found.setdefault(key, node)
        parts = {key: self._part(node, self._below(key)) for key, node in found.items()}
        names = None if known is None else list(known)
        for key, part in parts.items():
            if names is not None and key not in names:
                hint = did_you_mean(key, names) or f"There are: {', '.join(names)}."
                part.fail(f"there is no field {key[:80]!r}.", hint)
        return parts

    def _pairs(self, what: str) -> Iterator[tuple[str, Any]]:
        """Yields keys and nodes of a mapping, its own before those that it merges."""
        if self.kind != "mapping":
            self.expected(what)
        seen: dict[str, int] = {}
        merged: list[Part] = []
        for key, value in self.node.value:
            part = self._part(key, self.path)  # which counts it
            if key.tag == _MERGE_TAG:
                below = self._part(value, self._below("<<"))
                merged += below.items("mappings to merge") if below.kind == "sequence" else [below]
                continue
            if part.kind not in ("scalar", "string"):
                part.fail("a key has to be a word.", "Put it into quotes, if it is one.")
            if key.value in seen:
                self._part(key, self._below(key.value)).fail(
                    f"it stands twice; the first is in line {seen[key.value]}.", "Leave one of them out."
                )
            seen[key.value] = part.line
            yield key.value, value
        for part in merged:
            yield from part._pairs("a mapping to merge")

    def _below(self, key: str) -> str:
        key = key[:80]
        return f"{self.path}.{key}" if self.path else key

    def _part(self, node: Any, path: str) -> Part:
        self.document.parts += 1
        part = Part(self.document, node, path, self.depth + 1)
        if part.depth > _MAX_DEPTH:
            part.fail("it is nested too deep, or holds itself.", "See which alias (*name) leads back to where it is.")
        if self.document.parts > _MAX_PARTS:
            part.fail("there is too much of it, by aliases of aliases perhaps.", "Write less into one file.")
        return part


def read_document(path: Path, variables: Mapping[str, str], names: Names = python_names) -> Part:
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
        whole = isinstance(error, yaml.composer.ComposerError)  # else the context is about PyYAML's own steps
        said = ", ".join(filter(None, (error.context if whole else None, error.problem))) or error.context
        raise _broken(f"{file}{where}: {said}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _broken(f"{file}, line {line}: a character that YAML does not allow: {error.character!r}") from None
    except RecursionError:
        raise _broken(f"{file}: it is nested too deep") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _broken(f"{file}: {error}") from None
    if node is None:
        raise UsageError(f"{file} is empty.", hint="Begin with: tfserve init MODEL_DIR")
    return Part(document, node, "")


def _broken(problem: str) -> UsageError:
    hint = next((hint for words, hint in _HINTS.items() if words in problem), _INDENTATION)
    return UsageError(f"{problem.rstrip('.')}.", hint=hint)


def _text(path: Path) -> str:
    hint = "Name the file with -f, or make one: tfserve init MODEL_DIR"
    try:
        if path == STANDARD_INPUT:
            content = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            if not path.is_file():  # reading a pipe or a device could last for ever
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
        raise UsageError(f"{path}, line {line}: it is not UTF-8.", hint="Save the file as UTF-8.") from None
