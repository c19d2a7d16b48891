from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tfserve.engines.local.log import read_log

EPOCH = 1_795_343_248
TEXT = "".join(
    [
        "before any time\n",
        f"I0000 00:00:{EPOCH}.000000   22632 a.cc:1] one\n",
        "without a prefix\n",
        f"W0000 00:00:{EPOCH + 10}.000000   22632 a.cc:2] two\n",
        f"E0000 00:00:{EPOCH + 20}.500000   22632 a.cc:3] three\n",
    ]
)
LINES = TEXT.splitlines()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "server.log"
    path.write_text(TEXT)
    return path


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(EPOCH + seconds, timezone.utc)


def test_all_of_it(log: Path) -> None:
    assert list(read_log(log)) == LINES


@pytest.mark.parametrize("tail", [0, 1, 3, 5, 100])
def test_tail(log: Path, tail: int) -> None:
    assert list(read_log(log, tail=tail)) == LINES[max(0, len(LINES) - tail) :]


@pytest.mark.parametrize(("seconds", "first"), [(-1, 1), (0, 1), (1, 3), (10, 3), (20, 4), (21, 5)])
def test_since(log: Path, seconds: float, first: int) -> None:
    assert list(read_log(log, since=at(seconds))) == LINES[first:]


def test_tail_counts_lines_after_since(log: Path) -> None:
    assert list(read_log(log, since=at(0), tail=2)) == LINES[3:]
    assert list(read_log(log, since=at(15), tail=2)) == LINES[4:]


def test_timestamps(log: Path) -> None:
    stamps = [line.split(" ", 1) for line in read_log(log, timestamps=True)]
    assert [line for _, line in stamps] == LINES
    assert [stamp for stamp, _ in stamps] == [
        "1970-01-01T00:00:00.000000Z",
        "2026-11-22T10:27:28.000000Z",
        "2026-11-22T10:27:28.000000Z",
        "2026-11-22T10:27:38.000000Z",
        "2026-11-22T10:27:48.500000Z",
    ]


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"", []),
        (b"no line end", ["no line end"]),
        (b"a\r\nb\rc\n", ["a", "b\rc"]),
        (b"\xff\xfe\n", ["\ufffd\ufffd"]),
        ("zwei\u2028Zeilen\u0085\n".encode(), ["zwei\u2028Zeilen\u0085"]),
        (b"\n\n", ["", ""]),
    ],
)
def test_odd_bytes(log: Path, written: bytes, lines: list[str]) -> None:
    log.write_bytes(written)
    assert list(read_log(log)) == lines
    assert list(read_log(log, more=lambda: False)) == lines


def test_a_log_that_was_removed(tmp_path: Path) -> None:
    assert list(read_log(tmp_path / "none")) == []
    assert list(read_log(tmp_path / "none", more=lambda: True)) == []


def test_follow_gives_each_line_when_it_is_whole(log: Path) -> None:
    alive = threading.Event()
    alive.set()
    lines = read_log(log, tail=1, more=alive.is_set)
    assert next(lines) == LINES[-1]
    with log.open("a") as file:

        def write(text: str) -> None:
            file.write(text)
            file.flush()

        write("a whole line\npart ")
        assert next(lines) == "a whole line"
        later = threading.Timer(0.1, write, ["and the rest\n"])
        later.start()
        assert next(lines) == "part and the rest"
        write("the last words")
        alive.clear()
        assert list(lines) == ["the last words"]


def test_follow_reads_the_last_lines(log: Path) -> None:
    answers: Iterator[bool] = iter([True, False])

    def more() -> bool:
        alive = next(answers)
        if not alive:
            with log.open("a") as file:
                file.write("at the very end\n")
        return alive

    assert list(read_log(log, tail=0, more=more)) == ["at the very end"]


def test_follow_since(log: Path) -> None:
    with log.open("a") as file:
        file.write(f"I0000 00:00:{EPOCH + 30}.000000   22632 a.cc:4] four\nof four\n")
    assert list(read_log(log, since=at(25), more=lambda: False))[-2:] == [
        f"I0000 00:00:{EPOCH + 30}.000000   22632 a.cc:4] four",
        "of four",
    ]
