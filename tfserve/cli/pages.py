"""Formats pages of Markdown for a terminal."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, MarkdownElement, TableElement
from rich.table import Table
from rich.theme import Theme

__all__ = ["print_page"]


class _FoldedTable(TableElement):
    """A table that folds long words, such as commands, instead of cutting them off."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for drawn in super().__rich_console__(console, options):
            if isinstance(drawn, Table):
                for column in drawn.columns:
                    column.overflow = "fold"
            yield drawn


class _Page(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "table_open": _FoldedTable}


def print_page(markdown: str) -> None:
    """Prints a page on stdout, which is a terminal."""
    # The terminal's own colors, without a background, are readable on any terminal.
    console = Console(theme=Theme({"markdown.code": "cyan"}))
    console.print(_Page(markdown, code_theme="ansi_dark", hyperlinks=False))
