"""Compares output that a page shows with real output, apart from parts that differ in each run: ports, times, ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import groupby

__all__ = ["ANYTHING", "matches", "normalized", "refreshed"]

ANYTHING = "..."
_SERVED_LOCALLY = "Serving with the local engine instead."

# On a machine with Docker, the tests use an address without an engine.
_NO_DOCKER = re.compile(r"No Docker Engine answers at \S+\.")
_VARYING = (
    (r"\b(127\.0\.0\.1|localhost|0\.0\.0\.0):\d+", r"\1:PORT"),
    (r"\bport \d{4,5}\b", "port PORT"),
    (r"\b(process|pid|pid\":) +\d+\b", r"\1 N"),
    (r"(\"latency_ms\":) [\d.]+", r"\1 N"),
    (r"\d+(\.\d+)? ms\b", "N ms"),
    (r"\d+(\.\d+)? (s|seconds|minutes|hours|days)\b", "N seconds"),
    (r"\b[\d,]+(\.\d+)? ([kM]B|GiB)\b", "N MB"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?", "TIME"),
    (r"^([IWEF])\d{4} \d\d:\d\d:[\d.]+ +\d+ (\S+):\d+\]", r"\1 \2]"),
    (r"\bsha256:[0-9a-f]{12,64}|\b[0-9a-f]{12,64}\b", "DIGEST"),
    (r"\bTensorFlow \d+\.\d+\.\d+", "TensorFlow VERSION"),
    (r"\s+", " "),
)
_DEPENDS_ON_THE_MACHINE = re.compile(
    r".*\b85\d\d\b.* taken|.* taken.*\b85\d\d\b|Docker was not used\.|Docker is left out\."
)


def normalized(line: str) -> str:
    """Returns a line of output with a name in place of each part that varies, and with single spaces."""
    line = _NO_DOCKER.sub("Docker was not found.", line)
    for pattern, name in _VARYING:
        line = re.sub(pattern, name, line)
    return line.strip()


def matches(shown: Sequence[str], real: Sequence[str]) -> bool:
    """Returns whether the real output is what a page shows."""
    return _match(_keys(shown), _keys(_relevant(shown, real)))


def refreshed(shown: Sequence[str], real: Sequence[str]) -> list[str]:
    """Returns the lines to show: the real ones, but those of the page where only what varies is different."""
    new = [_NO_DOCKER.sub("Docker was not found.", line) for line in _relevant(shown, real)]
    lines = list[str]()
    for change, start, end, new_start, new_end in SequenceMatcher(None, _keys(shown), _keys(new), False).get_opcodes():
        if change == "equal":
            pairs = zip(shown[start:end], new[new_start:new_end], strict=True)
            lines += (line if line.split() == old.split() else old for old, line in pairs)
        else:
            lines += new[new_start:new_end]
    return lines


def _keys(lines: Sequence[str]) -> list[str]:
    """Returns the lines as they are compared. Servers that start together print this notice in any order."""
    keys = list[str]()
    for is_notice, found in groupby(map(normalized, lines), lambda line: line.endswith(_SERVED_LOCALLY)):
        group = list(found)
        keys += sorted(group) if is_notice else group
    return keys


def _match(expected: list[str], real: list[str]) -> bool:
    if ANYTHING not in expected:
        return expected == real
    position = expected.index(ANYTHING)
    if real[:position] != expected[:position]:
        return False
    rest = expected[position + 1 :]
    return any(_match(rest, real[start:]) for start in range(position, len(real) + 1))


def _relevant(shown: Sequence[str], real: Sequence[str]) -> list[str]:
    """Leaves out notices of a default port that is taken, and of an engine that does not answer.

    If another process takes a default port while the server starts, tfserve also waits a second time.
    """
    if any(_DEPENDS_ON_THE_MACHINE.match(line) for line in shown):
        return list(real)
    lines = [line for line in real if not _DEPENDS_ON_THE_MACHINE.match(line)]
    return [line for line, before in zip(lines, ["", *lines], strict=False) if line != before or line == ""]
