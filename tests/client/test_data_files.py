from __future__ import annotations

from pathlib import Path

import pytest

from tfserve.client.data_files import is_csv, is_json_lines, read_csv, read_json_lines
from tfserve.errors import UsageError


def test_kinds_of_files() -> None:
    assert is_csv("a/b.CSV") and not is_csv("csv") and not is_csv("-")
    assert is_json_lines("x.jsonl") and is_json_lines("x.ndjson") and not is_json_lines('{"a": "x.jsonl"}')


def test_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"x": 1}\r\n\n [2, "\xe2\x80\xa8"]\n')
    assert read_json_lines(str(file)) == [{"x": 1}, [2, "\u2028"]]


def test_csv(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b'x,word\r\n1.0,"a ""b"", \nc"\r\n\r\n2,\r\n')
    assert read_csv(str(file)) == [{"x": "1.0", "word": 'a "b", \nc'}, {"x": "2"}]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"{}\n{", "Line 2 of .* is not JSON"),
        ("a.jsonl", b"[" * 100_000, "Line 1 of .* is not JSON"),
        ("a.jsonl", b"\n", "has no records"),
        ("a.jsonl", b"\xff", "not UTF-8"),
        ("a.csv", b"", "has no records"),
        ("a.csv", b"x\n", "has no records"),
        ("a.csv", b"x,x\n1,2\n", "names a column twice"),
        ("a.csv", b"x,y\n1\n", "Line 2 of .* has 1 cells, the first line 2"),
        ("a.csv", b'x\n"1\n', "is not CSV"),
        ("a.csv", b"x\n\0\n\xff", "not UTF-8"),
    ],
)
def test_malformed_files(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        (read_csv if is_csv(name) else read_json_lines)(str(file))


def test_missing_file() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_csv("/nowhere/a.csv")
