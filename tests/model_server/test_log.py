from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model_server.server_process import ServerProcess
from tfserve.engines.server_log import message, timestamp
from tfserve.model_server import log

LINE = re.compile(r"([IWEF])(\d{4}) \d\d:\d\d:\d+\.\d{6} +(\d+) ([\w.-]+:\d+)\] (.*)")
DATED = re.compile(r"\d{4}-\d\d-\d\d ")  # the start of TensorFlow's own lines before release 2.19
OFFICIAL = (
    "I0000 00:00:1795343248.307201   22632 server_core.cc:516] Adding/updating models.",
    "W0000 00:00:1795343248.307201   22632 file_system_storage_path_source.cc:351] No versions of servable m found",
    "E0000 00:00:1795343248.307201 1222632 loader_harness.cc:263] Loading servable: {name: m version: 1} failed: ",
)


class Line(NamedTuple):
    severity: str
    source: str
    message: str


def read(text: str) -> list[Line | str]:
    """Parses a log of either server: its entries, and the lines without a prefix."""
    lines: list[Line | str] = []
    for line in text.splitlines():
        if match := LINE.fullmatch(line):
            assert message(line) == match[5]
            assert timestamp(line) is not None
            lines.append(Line(match[1], match[4].rpartition(":")[0], match[5]))
        else:
            assert (timestamp(line) is not None) is bool(DATED.match(line))
            lines.append(line)
    return lines


def test_one_parser_reads_both_logs(capfd: pytest.CaptureFixture[str]) -> None:
    log.info("one")
    log.warning("two")
    log.error("three \ud800")
    ours = [("I", "test_log.py", "one"), ("W", "test_log.py", "two"), ("E", "test_log.py", "three \\ud800")]
    assert read(capfd.readouterr().err) == ours
    assert [type(line) for line in read("\n".join(OFFICIAL))] == [Line, Line, Line]


def test_a_message_keeps_its_lines(capfd: pytest.CaptureFixture[str]) -> None:
    log.error("it failed:\n\t[[{{node a}}]]\nthere")
    assert read(capfd.readouterr().err) == [
        ("E", "test_log.py", "it failed:"),
        "    \t[[{{node a}}]]",
        "    there",
    ]


def test_a_long_message_is_cut(capfd: pytest.CaptureFixture[str]) -> None:
    log.error("\x1b" * 10_000_000)
    (line,) = read(capfd.readouterr().err)
    assert isinstance(line, Line)
    assert line.message == "\\x1b" * log.MAX_CHARACTERS + "… 10000000 characters"


@given(st.text() | st.lists(st.sampled_from([*OFFICIAL, "\n", "\r", "\x1b[2J", "\x85", "\u2028", "\x0b"])).map("".join))
def test_no_text_can_forge_a_log_line(text: str) -> None:
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            log.info(text)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        file.seek(0)
        written = file.read().decode()
    first, *others = read(written)
    assert isinstance(first, Line)
    assert all(isinstance(line, str) and line.startswith("    ") for line in others)
    assert len(others) == text.count("\n")
    assert all(character.isprintable() or character in "\n\t" for character in written)


def test_the_parser_reads_the_log_of_a_server(half_plus_two: Path, tmp_path: Path) -> None:
    forged = f"--x\n{OFFICIAL[0]}"
    with ServerProcess(tmp_path / "log", half_plus_two, forged, name=f"m\n{OFFICIAL[0]}") as process:
        process.wait_until_ready()
        lines = read(process.log)
    sources = {line.source for line in lines if isinstance(line, Line)}
    assert {"main.py", "manager.py"} <= sources
    assert "server_core.cc" not in sources
