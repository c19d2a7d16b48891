from __future__ import annotations

import re

import pytest

from tfserve.model_server import log


def test_lines_read_like_those_of_the_official_server(capfd: pytest.CaptureFixture[str]) -> None:
    log.info("one")
    log.warning("two")
    log.error("three \ud800")
    lines = capfd.readouterr().err.splitlines()
    pattern = r"([IWE])0000 00:00:\d{10}\.\d{6} +\d+ test_log\.py:\d+\] (.*)"
    matches = [re.fullmatch(pattern, line) for line in lines]
    assert [match.groups() for match in matches if match] == [("I", "one"), ("W", "two"), ("E", "three \\ud800")]
