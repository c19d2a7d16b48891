"""``tfserve help``: lists the topics, or shows the page of one.

The help of a command is not shown here: ``tfserve help run`` is turned into ``tfserve run --help`` first.
"""

from __future__ import annotations

import re
from typing import Annotated

import typer

from tfserve.cli.command_table import COMMANDS
from tfserve.cli.completion import complete_help
from tfserve.cli.output import Output
from tfserve.docs import TOPICS, read_topic
from tfserve.errors import UsageError
from tfserve.text import did_you_mean, printable

__all__ = ["show_help"]

_LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s]+)\)")


def show_help(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[COMMAND|TOPIC]",
            help="The command or topic.  [default: list the topics]",
            autocompletion=complete_help,
        ),
    ] = None,
) -> None:
    """Show the help of a command, or a topic. Topics are plain Markdown when piped."""
    output = Output()
    if name is None:
        output.text(_list_of_topics())
    elif name in TOPICS:
        output.page(read_topic(name), for_terminals=_links_as_text)
    else:
        hint = did_you_mean(name, (*COMMANDS, *TOPICS), "tfserve help ")
        raise UsageError(
            f"No command or topic is named '{printable(name)}'.",
            hint=hint or "To list the commands: tfserve --help. To list the topics: tfserve help",
        )


def _list_of_topics() -> str:
    width = max(map(len, TOPICS))
    topics = "\n".join(f"  {topic:<{width}}  {summary}" for topic, summary in TOPICS.items())
    return f"""\
Topics:
{topics}

tfserve help TOPIC shows one of them.
tfserve --help lists the commands, and tfserve help COMMAND shows the options of one, with examples."""


def _links_as_text(markdown: str) -> str:
    """Writes links for a terminal, which cannot follow a path: topics as the command that shows them, files as text."""

    def written(link: re.Match[str]) -> str:
        text, target = link.groups()
        topic = target.partition("#")[0].removesuffix(".md")
        if topic in TOPICS:
            return f"{text} (`tfserve help {topic}`)"
        return link[0] if target.startswith("https://") else text

    return _LINK.sub(written, markdown)
