"""Runs what the pages show, without Docker: commands, files and Python. ``tests/e2e`` runs what needs Docker.

``python -m tests.docs --write`` writes the real output into the pages.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from tests.docs.pages import PAGES, blocks, mentioned_commands
from tests.docs.run import differences
from tests.docs.session import Session, free_ports_for_pages, prepare
from tests.program import Program
from tests.test_architecture import MODEL_SERVER, PACKAGES
from tfserve import cli, errors
from tfserve.cli.command_table import COMMANDS
from tfserve.cli.program import option_names
from tfserve.docs import TOPICS

TEXTS = {name: file.read_text(encoding="utf-8") for name, file in PAGES.items()}
WRITTEN = {name: text for name, text in TEXTS.items() if name != "reference"}  # which is generated
RUN = [
    name for name, text in TEXTS.items() if any(block.language in ("console", "sh", "python") for block in blocks(text))
]


@pytest.mark.parametrize("name", RUN)
def test_what_a_page_shows(name: str, tfserve: Program) -> None:
    prepare(tfserve.home, everything=name != "README")
    session = Session(tfserve.home, {**tfserve.environment, **free_ports_for_pages()})
    assert differences(TEXTS[name], session) == []


@pytest.mark.parametrize(
    ("page", "command"),
    [(name, command) for name, text in WRITTEN.items() for command in mentioned_commands(text)],
)
def test_a_command_in_the_text_has_its_options(page: str, command: str) -> None:
    name, *words = shlex.split(command)[1:]
    program: Any = typer.main.get_command(cli.build_app([name]))
    context = typer.Context(program.commands[name] if name in COMMANDS else program, **program.context_settings)
    assert name in COMMANDS or name in ("COMMAND", *option_names(context)), page
    typed = {word.partition("=")[0] for word in words if re.match(r"-[-a-z]", word)} - {"--help"}
    if "--" not in words:
        assert typed <= set(option_names(context)), page


@pytest.mark.parametrize("name", TEXTS)
def test_links_are_valid(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if not target.startswith("https://"):
            assert (PAGES[name].parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic_begins_with_its_title(name: str) -> None:
    assert re.match(r"(<!--.*-->\n\n)?# \S", TEXTS[name])


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README"].splitlines()) <= 160


def test_the_readme_lists_the_topics() -> None:
    for topic in TOPICS:
        assert f"(tfserve/docs/{topic}.md)" in TEXTS["README"]


def test_the_files_that_developers_are_sent_to_exist() -> None:
    names = re.findall(r"`([a-z_/0-9]+(?:\.py|/))`", TEXTS["developers"])
    assert len(names) > 30
    root = PAGES["README"].parent
    assert [name for name in names if not (root / "tfserve" / name).exists() and not (root / name).exists()] == []


def test_the_packages_are_listed_in_order() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", TEXTS["developers"], re.M)
    assert listed == [*(name for name in PACKAGES if name != "__main__"), MODEL_SERVER]


def test_the_table_of_exit_codes_is_complete() -> None:
    listed = {int(code) for cell in re.findall(r"^\| ([\d, ]+) \|", TEXTS["scripts"], re.M) for code in cell.split(",")}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TfserveError)]
    assert {kind.exit_code for kind in kinds} <= listed
