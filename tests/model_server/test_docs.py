"""The help topic about the local model server names every flag that the server treats differently."""

from __future__ import annotations

import re
from pathlib import Path

import tfserve
import tfserve.model_server
from tfserve.model_server.flags import FLAGS_WITHOUT_EFFECT
from tfserve.protos.own_server_flags import OWN_FLAGS

DOCS = Path(tfserve.__file__).parent / "docs"
TABLE = re.compile(
    r"\| \| `tensorflow_model_server` \| `tfserve-model-server` \|\n\| --- \| --- \| --- \|\n((?:\|.*\n)+)"
)


def topic() -> str:
    return (DOCS / "local-server.md").read_text()


def rows(text: str) -> list[list[str]]:
    """Reads the tables that compare the two servers."""
    lines = [line for table in TABLE.findall(text) for line in table.splitlines()]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_docstring_points_to_the_topic() -> None:
    (name,) = re.findall(r"``tfserve/docs/([\w.-]+)``", tfserve.model_server.__doc__ or "")
    assert (DOCS / name).is_file()


def test_every_difference_has_a_name_and_describes_both_servers() -> None:
    compared = rows(topic())
    assert len(compared) > 40
    assert all(len(row) == 3 and all(row) for row in compared)
    assert len({row[0] for row in compared}) == len(compared)


def test_the_flags_without_effect_are_those_that_the_topic_lists() -> None:
    listed = {flag for name, _, own in rows(topic()) if own.startswith("No effect") for flag in flags_in(name)}
    assert listed == set(FLAGS_WITHOUT_EFFECT)


def test_every_own_flag_is_listed_as_one_that_the_official_server_does_not_have() -> None:
    listed = {flag for name, official, _ in rows(topic()) if "not exist:" in official for flag in flags_in(name)}
    assert listed == {flag.name for flag in OWN_FLAGS}


def flags_in(cell: str) -> list[str]:
    return re.findall(r"`--(\w+)`", cell)
