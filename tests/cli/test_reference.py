from __future__ import annotations

import shutil
import subprocess

import pytest

from tfserve.cli import reference
from tfserve.cli.command_table import COMMANDS
from tfserve.docs import DIRECTORY


@pytest.mark.parametrize("file", reference.PAGES)
def test_pages_are_up_to_date(file: str) -> None:
    written = (DIRECTORY / file).read_text(encoding="utf-8")
    assert written == reference.PAGES[file](), "update it with: python -m tfserve.cli.reference"


def test_markdown_page() -> None:
    text = reference.markdown()
    for name, command in COMMANDS.items():
        section = text.partition(f"### tfserve {name}\n")[2].partition("\n### ")[0]
        assert section.strip().replace("\\", "").startswith(command.summary)
        assert f"    tfserve {name} [OPTIONS]" in section
        assert all(f"    {example}\n" in section for example in command.examples)
    wait = "- `--wait SECONDS`: Seconds to wait for the server to become ready; 0 to return immediately. "
    assert f"{wait}\\[default: 300\\]" in text
    assert "- `6`: A server with the same name already exists. Another process" in text


@pytest.mark.parametrize("page", [reference.markdown(), reference.man_page().replace("\\-", "-")])
def test_options_of_the_program(page: str) -> None:
    for words in ("--version", "--install-completion", "--show-completion", "-h, --help"):
        assert f"tfserve {words}" in page


def test_quotes_on_the_man_page() -> None:
    assert r"\(aq{\(dqage\(dq: 31.0" in reference.man_page()
    assert '"' not in reference.man_page().partition("\n")[2]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff was not found")
def test_man_page_is_valid() -> None:
    command = ["groff", "-man", "-ww", "-Tutf8", "-P-c"]
    done = subprocess.run(command, input=reference.man_page(), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "--build-option=--copt=-march=native" in done.stdout
