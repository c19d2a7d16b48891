"""Looks through a JSON text without parsing it: how many values it has, how deep they are, and where it can be cut.

A parser makes objects that take twenty times the memory of the text, so the limits must hold before it runs, and a
large list is parsed in pieces. The text is read in blocks with NumPy, which takes less time than parsing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tfserve.model_server.rest.limits import Limits
from tfserve.model_server.status import invalid_argument
from tfserve.protos.dtypes import Array

PIECE_BYTES = 1 << 20
"""Size of the pieces that a large list is cut into, unless one of its elements is larger."""

_BLOCK_BYTES = 1 << 18
_MAX_MARKS = 4096  # a text with more lists near its root is not cut
_STRING_COST = 4
_COMMA, _QUOTE, _BACKSLASH, _OPENING, _CLOSING, _LIST = b',"\\{}['
_TO_BRACE = 0x20  # the bit that makes a bracket a brace


class Span(NamedTuple):
    """A list in the text.

    Attributes:
        start: the offset of its opening bracket.
        end: the offset after its closing bracket.
        cuts: offsets of commas between its elements, at most one in each block.
    """

    start: int
    end: int
    cuts: list[int]

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Returns the offsets of start and end of groups of whole elements, without the commas between the groups."""
        start = self.start + 1
        for cut in self.cuts:
            if cut - start >= PIECE_BYTES:
                yield start, cut
                start = cut + 1
        yield start, self.end - 1


class _Level:
    """What has been found at one depth: the offsets where lists and objects begin and end, and of commas."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.starts: list[int] = []
        self.lists: list[bool] = []
        self.ends: list[int] = []
        self.cuts: list[int] = []

    def add(self, positions: Array, depths: Array, opening: Array, closing: Array, commas: Array, chars: Array) -> None:
        if len(self.starts) > _MAX_MARKS:
            return
        here = depths == self.depth
        begins = opening & here
        self.starts += positions[begins].tolist()
        self.lists += (chars[begins] == _LIST).tolist()
        self.ends += (positions[closing & (depths == self.depth - 1)] + 1).tolist()
        cuts = commas & here
        first = int(cuts.argmax()) if len(cuts) else 0
        if len(cuts) and cuts[first]:
            self.cuts.append(int(positions[first]))

    def spans(self) -> list[tuple[Span, bool]]:
        """Returns the large lists and objects, and whether each is a list; none if there are too many to keep."""
        if len(self.starts) > _MAX_MARKS or len(self.starts) != len(self.ends):
            return []
        return [
            (Span(start, end, [cut for cut in self.cuts if start < cut < end]), is_list)
            for start, end, is_list in zip(self.starts, self.ends, self.lists, strict=True)
            if end - start > PIECE_BYTES
        ]


class Scan:
    """One pass over a text.

    Args:
        text: JSON in UTF-8; anything else is not noticed.
        limits: `json_values` and `json_depth` of it.

    Attributes:
        end: the offset after the first value of the text, if that is a list or an object; -1 if it has no end.

    Raises:
        StatusError: INVALID_ARGUMENT, a limit is exceeded.
    """

    def __init__(self, text: Any, limits: Limits) -> None:
        self.end = -1
        self._limits = limits
        self._values = 1  # without what strings count more than other values
        self._quotes = 0
        self._depth = 0
        self._in_string = 0
        self._escaped = False  # whether the first character of the next block is escaped
        self._levels = (_Level(2), _Level(3))
        data = np.frombuffer(text, np.uint8)
        for start in range(0, len(data), _BLOCK_BYTES):
            self._read(data[start : start + _BLOCK_BYTES], start)
            if self.end >= 0:
                break

    @property
    def is_open(self) -> bool:
        """Whether the text ends inside a list or an object, so that it is not JSON."""
        return self.end < 0 and self._depth > 0

    def large_lists(self) -> list[Span]:
        """Returns the large lists that are members of the root, or members of a large member of it."""
        outer, inner = (level.spans() for level in self._levels)
        objects = [span for span, is_list in outer if not is_list]
        found = [span for span, is_list in outer if is_list]
        for span, is_list in inner:
            if is_list and any(around.start < span.start < around.end for around in objects):
                found.append(span)
        return sorted(found)

    def _read(self, block: Array, start: int) -> None:
        braced = block | _TO_BRACE
        marks = (braced == _OPENING) | (braced == _CLOSING) | (block == _COMMA)
        marks |= (block == _QUOTE) | (block == _BACKSLASH)
        positions = np.flatnonzero(marks)
        chars = block[positions]
        quotes = chars == _QUOTE
        if self._escaped or (chars == _BACKSLASH).any():
            quotes &= ~self._escapes(positions[chars == _BACKSLASH], len(block))[positions]
        strings = int(np.count_nonzero(quotes))
        if strings or self._in_string:
            inside = (np.cumsum(quotes, dtype=np.int32) + self._in_string) & 1
            self._in_string = (self._in_string + strings) & 1
            outside = (inside == 0) & (chars != _QUOTE)
            positions, chars = positions[outside], chars[outside]
            self._quotes += strings
        braced = chars | _TO_BRACE
        opening, closing, commas = braced == _OPENING, braced == _CLOSING, chars == _COMMA
        depths = self._depth + np.cumsum(opening.astype(np.int8) - closing.astype(np.int8), dtype=np.int32)
        ended = np.flatnonzero(closing & (depths <= 0))
        if len(ended):
            last = int(ended[0]) + 1
            self.end = start + int(positions[last - 1]) + 1
            positions, chars, depths = positions[:last], chars[:last], depths[:last]
            opening, closing, commas = opening[:last], closing[:last], commas[:last]
        self._count(opening, commas, depths)
        for level in self._levels:
            level.add(positions + start, depths, opening, closing, commas, chars)

    def _escapes(self, backslashes: Array, size: int) -> Array:
        """Returns for each character of a block, and the one after it, whether a backslash escapes it."""
        escaped = np.zeros(size + 1, np.bool_)
        escaped[0] = self._escaped
        if len(backslashes):
            begins = np.ones(len(backslashes), np.bool_)
            begins[1:] = np.diff(backslashes) != 1
            first = np.maximum.accumulate(np.where(begins, backslashes, -1))
            # The first of a run escapes, the second is escaped, and so on; a first one may itself be escaped.
            offset = backslashes - first + (self._escaped & (first == 0))
            escaped[backslashes[offset % 2 == 0] + 1] = True
        self._escaped = bool(escaped[size])
        return escaped[:size]

    def _count(self, opening: Array, commas: Array, depths: Array) -> None:
        self._values += int(np.count_nonzero(opening)) + int(np.count_nonzero(commas))
        if self._values + self._quotes // 2 * (_STRING_COST - 1) > self._limits.json_values:
            raise invalid_argument(
                f"The body has more than {self._limits.json_values} JSON values, where a string counts as "
                f"{_STRING_COST}: the limit of this server (--rest_api_max_json_values)"
            )
        if len(depths):
            self._depth = int(depths[-1])
            if int(depths.max()) > self._limits.json_depth:
                raise invalid_argument(
                    f"The body is nested deeper than {self._limits.json_depth} levels, the limit of this server "
                    "(--rest_api_max_json_depth)"
                )
