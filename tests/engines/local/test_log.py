from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.program import Plan, eventually
from tfserve.engines.local.engine import LocalEngine
from tfserve.engines.local.log import read_log
from tfserve.log_file import is_too_large, shorten

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


def numbered(first: int, last: int) -> list[str]:
    return [
        f"I0000 00:00:{EPOCH + number}.000000   22632 a.cc:1] {number:06d} {'x' * 50}" for number in range(first, last)
    ]


def text_of(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture
def appending(log: Path) -> Iterator[int]:
    """A descriptor of an empty log, as a server inherits it."""
    log.write_text("")
    descriptor = os.open(log, os.O_RDWR | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


def test_a_log_that_is_too_large_keeps_its_newest_lines(log: Path, appending: int) -> None:
    os.write(appending, text_of(numbered(0, 1000)))
    assert is_too_large(appending, 50_000)
    shorten(appending, 50_000)
    lines = list(read_log(log))
    assert 20_000 < log.stat().st_size <= 25_000
    assert lines == numbered(1000 - len(lines), 1000)
    os.write(appending, text_of(numbered(1000, 1002)))
    assert list(read_log(log, tail=3)) == numbered(999, 1002)
    assert list(read_log(log, since=at(998))) == numbered(998, 1002)
    shorten(appending, 50_000)
    shorten(appending, 1_000_000)
    assert list(read_log(log, tail=3)) == numbered(999, 1002)


@pytest.mark.parametrize("content", [b"", b"\n", b"one line\n", b"no line end", b"x" * 5000, b"x" * 5000 + b"\nend"])
def test_what_a_short_log_keeps(log: Path, appending: int, content: bytes) -> None:
    os.write(appending, content)
    shorten(appending, 100)
    assert content.endswith(log.read_bytes())
    assert log.stat().st_size <= 50 or len(content) <= 50


@pytest.mark.parametrize("tail", [None, 10])
def test_no_line_is_lost_while_the_log_is_followed(log: Path, appending: int, tail: int | None) -> None:
    """The file is shortened again and again, and a reader is behind by less than what is kept."""
    os.write(appending, text_of(numbered(0, 500)))
    done = threading.Event()
    seen: list[str] = []

    def write() -> None:
        for first in range(500, 8000, 100):
            os.write(appending, text_of(numbered(first, first + 100)))
            if is_too_large(appending, 200_000):
                eventually(lambda: seen and seen[-1] >= numbered(first - 500, first)[0])  # noqa: B023
                shorten(appending, 200_000)
        done.set()

    lines = read_log(log, tail=tail, more=lambda: not done.is_set())
    seen.append(next(lines))
    writer = threading.Thread(target=write)
    writer.start()
    seen += lines
    writer.join()
    assert seen == numbered(500 - tail if tail else 0, 8000)


def test_a_reader_that_missed_everything_begins_again(
    log: Path, appending: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfserve.engines.local.log._SHORTENING_SECONDS", 0.1)
    os.write(appending, text_of(numbered(0, 100)))
    answers = iter([True, False])

    def more() -> bool:
        os.ftruncate(appending, 0)
        os.write(appending, text_of(numbered(5000, 5010)))
        return next(answers)

    assert list(read_log(log, tail=1, more=more)) == [*numbered(99, 100), *numbered(5000, 5010)]


def test_a_program_that_does_not_shorten_its_log_starts_with_a_short_one(
    engine: LocalEngine, python_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the official server."""
    server = engine.launch(python_plan("print('x', flush=True)"))
    eventually(lambda: not engine.servers()[0].running)
    log = Path(os.environ["XDG_STATE_HOME"], "tfserve", "servers", "m", "server.log")
    monkeypatch.setattr("tfserve.engines.local.server.MAX_BYTES", 1000)
    log.write_bytes(b"line\n" * 201)
    assert list(server.start().logs(follow=True))[-1] == "x"
    assert log.stat().st_size <= 502
