"""Runs what the topics show that needs Docker; ``tests/docs`` runs the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, blocks
from tests.docs.run import differences
from tests.docs.session import Session, prepare

from .conftest import StartEngine, Tfserve

TEXTS = {name: file.read_text(encoding="utf-8") for name, file in PAGES.items()}


@pytest.fixture(scope="module")
def host(start_engine: StartEngine) -> str:
    """An engine of its own, on which the names in the topics are free."""
    return start_engine().host


@pytest.mark.parametrize(
    "name", [name for name, text in TEXTS.items() if any(block.needs == "docker" for block in blocks(text))]
)
def test_what_a_page_shows(name: str, host: str, tfserve: Tfserve, tmp_path: Path) -> None:
    directory = tmp_path / "session"
    directory.mkdir()
    prepare(directory, everything=True)
    session = Session(directory, {**tfserve.environment, "DOCKER_HOST": host}, docker=True)
    assert differences(TEXTS[name], session, ("docker",)) == []
