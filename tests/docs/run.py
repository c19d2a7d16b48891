"""Runs the blocks of a page, and reports where the page is out of date, or updates it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tests.docs.compare import ANYTHING, matches, refreshed
from tests.docs.pages import Block, blocks, steps
from tests.docs.session import Session

__all__ = ["differences", "rewritten"]

_NOT_RUN = ("bash tests/run", "python3 -m venv")
"""Parts of the commands that set up tfserve itself, or run all tests. No test could run without the first."""


def differences(
    page: str, session: Session, needs: Collection[str] = ("",), *, compare_output: bool = True
) -> list[str]:
    """Runs the blocks of a page, and describes each difference between what it shows and what happens.

    Args:
        page: the text of the page.
        session: where to run it.
        needs: which blocks to run, by `Block.needs`.
        compare_output: whether to compare the output of commands, or only whether they succeed.
    """
    chosen = [block for block in blocks(page) if block.needs in needs]
    return [difference for block in chosen for difference in _differences(block, session, compare_output)]


def _differences(block: Block, session: Session, compare_output: bool) -> Iterator[str]:
    if block.language == "yaml":
        session.write(block)
    elif block.language == "python":
        for comment, value in session.python(block):
            if comment != value:
                yield f"the page shows {comment}, the value is {value}"
    elif block.language in ("console", "sh"):
        for step in steps(block):
            if any(words in step.command for words in _NOT_RUN):
                continue
            code, output = session.run(step)
            failed = any(line.startswith("Error: ") for line in step.output or ())
            if (code != 0) != failed:
                yield "\n".join([f"exit code {code}", f"$ {step.command}", *output])
            elif compare_output and step.output is not None and not matches(step.output, output):
                yield "\n".join([f"$ {step.command}", "shown:", *step.output, "real:", *output])


def rewritten(page: str, session: Session, needs: Collection[str] = ("",)) -> str:
    """Runs the ``console`` blocks of a page, and returns the page with the real output in them.

    Output that a page shows with ``...`` is left unchanged. `differences` reports it if it is out of date.
    """
    written, end = "", 0
    for block in blocks(page):
        if block.needs not in needs:
            continue
        if block.language == "console":
            written += page[end : block.start] + "".join(_with_output(block, session)).rstrip("\n") + "\n"
            end = block.start + len(block.text)
        else:
            for _ in _differences(block, session, compare_output=False):
                pass
    return written + page[end:]


def _with_output(block: Block, session: Session) -> Iterator[str]:
    for step in steps(block):
        output = list(step.output or ())
        _, real = session.run(step)
        if ANYTHING not in output:
            output = refreshed(output, real)
        yield "\n".join([f"$ {step.command}", *output, *([""] if output else []), ""])
