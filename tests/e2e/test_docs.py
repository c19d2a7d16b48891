"""Runs what the README and the topics show with Docker; ``tests/docs`` runs it without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, blocks
from tests.docs.run import differences
from tests.docs.session import Session, free_ports_for_pages, prepare

from .conftest import StartEngine, Tfserve

TEXTS = {name: file.read_text(encoding="utf-8") for name, file in PAGES.items()}
NEED_DOCKER = [name for name, text in TEXTS.items() if any(block.needs == "docker" for block in blocks(text))]


@pytest.fixture(scope="module")
def host(start_engine: StartEngine) -> str:
    """An engine of its own, on which the names in the topics are free."""
    return start_engine().host


@pytest.fixture
def session(host: str, tfserve: Tfserve, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session on that engine, with the images that pages take for granted."""
    directory = tmp_path / "session"
    directory.mkdir()
    prepare(directory, everything=request.node.callspec.params["name"] != "README")
    engine = {"DOCKER_HOST": host}
    for pull in ("pull",), ("pull", "--devel"):
        assert tfserve(*pull, env=engine).returncode == 0
    yield Session(directory, {**tfserve.environment, **engine, **free_ports_for_pages()}, docker=True)
    if servers := json.loads(tfserve("ps", "--json", env=engine).stdout):
        tfserve("rm", "--force", *(server["name"] for server in servers), env=engine)


@pytest.mark.parametrize("name", NEED_DOCKER)
def test_what_needs_docker(name: str, session: Session) -> None:
    assert differences(TEXTS[name], session, ("docker",)) == []


@pytest.mark.parametrize("name", ["README", "requests", "versions", "tfserve-yaml"])
def test_what_works_without_docker_works_with_it(name: str, session: Session) -> None:
    assert differences(TEXTS[name], session, compare_output=False) == []
