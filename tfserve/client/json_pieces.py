"""Parses a large JSON document in pieces, so that parsing can stop when its time is over.

CPython's parser cannot be interrupted, and takes long for some documents of 256 MiB. Here, a document is cut at commas
outside of strings. Each piece becomes a document of its own: in front come the brackets that are open where it begins,
behind it those that close what is open at its end. The piece ``2],[3,4`` of a list of lists is parsed as
``[[0,2],[3,4,0]]``; the zeros make a comma without a value an error, as it is in the whole document. The values of a
piece are then appended to the lists and objects that were open.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tfserve.protos.without_gc import without_gc

__all__ = ["PIECE_BYTES", "parse_pieces"]

PIECE_BYTES = 256 * 2**10
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_CLOSING = {"[": "]", "{": "}"}


def parse_pieces(body: bytes, parse: Callable[[str], Any], before: Callable[[bytes], None], depth: int) -> Any:
    """Returns the document in `body`.

    Args:
        body: the bytes of the document.
        parse: parses a small document, and raises ValueError if it is not JSON. Bytes that are not UTF-8 are escaped by
            "surrogateescape".
        before: is called with each piece before it is parsed; what it raises ends the parsing.
        depth: the deepest nesting that is accepted.

    Raises:
        ValueError: `body` is not JSON, or is nested more deeply than `depth`.
    """
    document = _Document(depth)
    start = 0
    with without_gc():
        while start <= len(body):
            end, brackets = _next_comma(body, start)
            piece = body[start:end]
            before(piece)
            text = piece.decode("utf-8", "surrogateescape")
            del piece
            document.append(text, brackets, parse, is_last=end == len(body))
            start = end + 1
        return document.root


class _Document:
    """A document of which the beginning has been parsed.

    Attributes:
        root: the whole document.
    """

    def __init__(self, depth: int) -> None:
        self.root: Any = None
        self._depth = depth
        self._kinds = ""  # the brackets that are open
        self._open: list[Any] = []  # the lists and objects that they opened
        key = os.urandom(12).hex()  # with a letter in front, the keys of values that are not the document's own
        self._first, self._last = f"f{key}", f"l{key}"
        self._opening = {"[": "[", "{": f'{{"{self._first}":'}
        self._ending = {"[": f',"{self._last}"', "{": f',"{self._last}":"{self._last}"'}

    def append(self, piece: str, brackets: bytes | int, parse: Callable[[str], Any], *, is_last: bool) -> None:
        """Parses the text up to the next comma; for its `brackets`, see `_next_comma`."""
        kinds = self._after(brackets)
        if not kinds and not is_last:
            raise ValueError("more than one document")
        before = "".join(self._opening[kind] for kind in self._kinds) + ("0," if self._kinds else "")
        after = "" if is_last else self._ending[kinds[-1]] + "".join(_CLOSING[kind] for kind in reversed(kinds))
        parsed = parse(f"{before}{piece}{after}")
        if self._kinds:
            self._open = self._open[: min(self._merge(parsed), len(kinds))]
        else:
            self.root = parsed
        for kind in kinds[len(self._open) :]:
            self._open.append(_last(self._open[-1], kind) if self._open else self.root)
        self._kinds = kinds
        if not is_last:
            self._remove_ending(self._open[-1])

    def _after(self, brackets: bytes | int) -> str:
        """Returns the brackets that are open after `brackets`."""
        if isinstance(brackets, int):
            size = max(len(self._kinds) + brackets, 0)
            if size > self._depth:
                raise ValueError("nested too deeply")
            return self._kinds[:size].ljust(size, "[")
        for _ in range(self._depth + 2):
            shorter = brackets.replace(b"[]", b"").replace(b"{}", b"")
            if len(shorter) == len(brackets):
                break
            brackets = shorter
        else:
            raise ValueError("nested too deeply")
        text = brackets.decode()
        opening = text.lstrip("]}")
        closed = len(text) - len(opening)
        expected = "".join(_CLOSING[kind] for kind in reversed(self._kinds))
        kinds = self._kinds[: max(len(self._kinds) - closed, 0)] + opening
        if not expected.startswith(text[:closed]) or "]" in opening or "}" in opening:
            raise ValueError("a bracket is closed that is not open")
        if len(kinds) > self._depth:
            raise ValueError("nested too deeply")
        return kinds

    def _remove_ending(self, container: Any) -> None:
        if isinstance(container, dict):
            ending = container.pop(self._last, None)
        else:
            ending = container.pop() if container else None
        if ending != self._last:
            raise ValueError("an object has a key twice")

    def _merge(self, parsed: Any) -> int:
        """Appends what was parsed to the lists and objects that were open; returns how many of them can still be."""
        still_open = len(self._open)
        for level, container in enumerate(self._open, 1):
            if isinstance(container, list):
                following = parsed.pop(0)
                container += parsed
            else:
                following = parsed.pop(self._first)
                container.update(parsed)
            if parsed and level < still_open:
                still_open = level
            parsed = following
        return still_open


def _last(container: Any, kind: str) -> Any:
    value = container[-1] if isinstance(container, list) else next(reversed(container.values()))
    if not isinstance(value, list if kind == "[" else dict):
        raise ValueError("an object has a key twice")
    return value


def _next_comma(body: bytes, start: int) -> tuple[int, bytes | int]:
    """Returns where to end the piece at `start`, at a comma or at the end, and its brackets outside of strings.

    If all of them belong to lists, only the difference between opening and closing ones is returned: most documents
    consist of numbers, and this is much faster.
    """
    end = body.rfind(b",", start, start + PIECE_BYTES)
    if end >= 0 and not any(body.find(character, start, end) >= 0 for character in (b'"', b"{", b"}")):
        return end, body.count(b"[", start, end) - body.count(b"]", start, end)
    brackets: list[bytes] = []
    at = start
    while True:
        window = body[at : at + PIECE_BYTES]
        parts = _without_escapes(window).split(b'"')  # outside of a string, in a string, outside, ...
        is_open = len(parts) % 2 == 0
        if is_open:
            string = parts.pop()
        if at + len(window) >= len(body) and not is_open:
            return len(body), _brackets([*brackets, *parts[::2]])
        end = at + len(window) - (len(string) + 1 if is_open else 0)
        outside = parts[::2]
        for number in range(len(parts) - 1, -1, -2):
            end -= len(parts[number])
            comma = parts[number].rfind(b",")
            if comma >= 0:
                outside = [*parts[:number:2], parts[number][:comma]]
                return end + comma, _brackets([*brackets, *outside])
            if number:
                end -= len(parts[number - 1]) + 2
        brackets.append(_brackets(outside))
        at += len(window)
        if is_open:
            at = _string_end(body, at - len(string))
            if at >= len(body):
                return len(body), _brackets(brackets)


def _brackets(outside: list[bytes]) -> bytes:
    return b"".join(outside).translate(None, _NO_BRACKETS)


def _string_end(body: bytes, at: int) -> int:
    """Returns the position after the string whose content begins at `at`."""
    while at < len(body):
        window = body[at : at + PIECE_BYTES]
        flat = _without_escapes(window)
        found = flat.find(b'"')
        if found >= 0:
            return at + found + 1
        at += len(window) - (flat.endswith(b"\\") and len(window) > 1)
    return len(body)


def _without_escapes(text: bytes) -> bytes:
    """Returns `text`, as long as before, with other characters for the quotes and backslashes that are escaped."""
    return text.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in text else text
