"""Files with one record per line: JSON lines, and CSV whose first line names the columns."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from tfserve.client.values import TOO_LARGE, shorten
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.host.files import read_bounded

__all__ = ["is_csv", "is_json_lines", "read_csv", "read_json_lines", "refuse_beside_data"]

_JSON_LINES = (".jsonl", ".ndjson")
_MAX_BYTES = 2**30


def is_json_lines(source: str) -> bool:
    """Returns whether a file contains JSON lines, judged by its name."""
    return PurePath(source).suffix.lower() in _JSON_LINES


def is_csv(source: str) -> bool:
    """Returns whether a file is CSV, judged by its name."""
    return PurePath(source).suffix.lower() == ".csv"


def refuse_beside_data(content: str, hint: str, **given: object) -> None:
    """Refuses attributes that repeat or contradict the content of ``--data``.

    Args:
        content: what the file or JSON contains.
        hint: what to do instead.
        given: the attributes, with their values.

    Raises:
        UsageError: one of `given` has a value.
    """
    others = [Attribute(name) for name, value in given.items() if value]
    if others:
        raise UsageError(
            Wording("{data} is {content}, and cannot be combined with {others}.", content=content, others=others),
            hint=hint,
        )


def read_json_lines(source: str) -> list[Any]:
    """Returns the JSON documents in the lines of a file; blank lines are skipped.

    Raises:
        UsageError: the file cannot be read, has no lines, or a line is not JSON.
    """
    documents = []
    for number, line in enumerate(_text(source).split("\n"), 1):
        if line.strip():
            try:
                documents.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else "it cannot be parsed"
                raise UsageError(
                    f"Line {number} of {shorten(source)} is not JSON: {reason}.", hint="Each line is a JSON document."
                ) from None
    return documents or _no_records(source)


def read_csv(source: str) -> list[dict[str, str]]:
    """Returns the lines of a file as text by column; empty cells are omitted.

    Raises:
        UsageError: the file cannot be read, has no lines below the first, or a line has a different number of cells.
    """
    import csv
    import io

    rows = []
    try:
        lines = csv.reader(io.StringIO(_text(source), newline=""), strict=True)
        names = next(lines, [])
        if len(set(names)) < len(names):
            raise UsageError(
                f"The first line of {shorten(source)} names a column twice.", hint="Give each column a different name."
            )
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(names):
                raise UsageError(
                    f"Line {lines.line_num} of {shorten(source)} has {len(cells)} cells, the first line {len(names)}.",
                    hint="Quote cells that contain a comma.",
                )
            rows.append({name: cell for name, cell in zip(names, cells, strict=True) if cell})
    except csv.Error as error:
        raise UsageError(
            f"{shorten(source)} is not CSV: {error}.",
            hint="Separate cells with commas, and quote them with double quotes.",
        ) from None
    return rows or _no_records(source)


def _text(source: str) -> str:
    what = f"The file {shorten(source)}"
    content = read_bounded(source, _MAX_BYTES, what=what, hint="Check the name of the file.", too_large=TOO_LARGE)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{what} is not UTF-8.", hint="Save it as UTF-8.") from None


def _no_records(source: str) -> list[Any]:
    raise UsageError(f"The file {shorten(source)} has no records.", hint="Put one record on each line.")
