"""The pages of the documentation, and the commands and files that they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfserve.docs import DIRECTORY

__all__ = ["PAGES", "Block", "Step", "blocks", "mentioned_commands", "steps"]

ROOT = Path(__file__).parents[2]
PAGES = {"README": ROOT / "README.md", **{file.stem: file for file in sorted(DIRECTORY.glob("*.md"))}}
"""The README and the topics, by name."""

_FENCED = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE_SPAN = re.compile(r"`(tfserve [^`]+)`")
_PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: the first word behind the fence: ``console`` (commands with their output), ``sh`` (commands without
            it), ``yaml``, ``python``, or anything else, which is not run.
        needs: what it needs, which are the other words: nothing, or ``docker``.
        text: what is between the fences.
        start: the position of `text` in the page.
    """

    language: str
    needs: str
    text: str
    start: int


@dataclass(frozen=True)
class Step:
    """A command, and the lines of output that a page shows for it.

    Attributes:
        command: what is typed, without the prompt.
        output: the lines below it; None if the page does not show the output. A line ``...`` is any number of lines.
    """

    command: str
    output: tuple[str, ...] | None


def blocks(page: str) -> Iterator[Block]:
    """Yields the fenced blocks of a page in their order."""
    for found in _FENCED.finditer(page):
        language, _, needs = found["info"].partition(" ")
        yield Block(language, needs, found["text"], found.start("text"))


def steps(block: Block) -> Iterator[Step]:
    """Yields the commands of a ``console`` or ``sh`` block."""
    if block.language == "sh":
        lines = (line.partition("  #")[0].strip() for line in block.text.replace("\\\n", "").splitlines())
        yield from (Step(line, None) for line in lines if line and not line.startswith("#"))
        return
    for part in re.split(rf"^{re.escape(_PROMPT)}", block.text, flags=re.MULTILINE)[1:]:
        command, *output = part.replace("\\\n", "\\\0").splitlines()
        while output and not output[-1]:
            output.pop()
        yield Step(command.replace("\\\0", "\\\n"), tuple(output))


def mentioned_commands(page: str) -> Iterator[str]:
    """Yields each command of tfserve in a code span of a page. Those in blocks are run."""
    yield from (" ".join(span.split()) for span in _CODE_SPAN.findall(_FENCED.sub("", page)))
