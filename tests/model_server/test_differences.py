"""What the server does in another way than the official one is told in two places, in the same words."""

from __future__ import annotations

import re
from pathlib import Path

import tfserve.model_server

Row = tuple[str, ...]

README = Path(__file__).parents[2] / "README.md"


def docstring_rows(text: str) -> list[Row]:
    """Reads the table of a docstring; a line with nothing in its first column goes on with the row above."""
    lines = text.splitlines()
    rules = [number for number, line in enumerate(lines) if line.startswith("===")]
    columns = [slice(*match.span()) for match in re.finditer("=+", lines[rules[0]])]
    rows: list[list[list[str]]] = []
    for line in lines[rules[1] + 1 : rules[2]]:
        cells = [line[column].strip() for column in columns]
        assert all(line[column.stop : column.stop + 2].isspace() for column in columns if column.stop < len(line))
        if cells[0]:
            rows.append([[] for _ in columns])
        for cell, words in zip(cells, rows[-1], strict=True):
            words += cell.split()
    return [tuple(" ".join(words).replace("``", "`") for words in row) for row in rows]


def readme_rows(text: str) -> list[Row]:
    """Reads the table of the README that compares the two servers."""
    table = text.partition("| | official server | `tfserve-model-server` |\n| --- | --- | --- |\n")[2].partition(
        "\n\n"
    )[0]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()]


def test_the_readme_and_the_docstring_tell_the_same_differences() -> None:
    told = docstring_rows(tfserve.model_server.__doc__ or "")
    assert told == readme_rows(README.read_text())
    assert all(len(row) == 3 and all(row) for row in told)
    assert len({row[0] for row in told}) == len(told)
