"""Progress bars on a terminal: one for each layer of an image, or one for a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Column
from rich.text import Text

from tfserve.progress import LayerProgress
from tfserve.text import printable

_DONE = ("Pull complete", "Already exists", "Pushed", "Layer already exists")
_MEASURED = ("Downloading", "Extracting", "Pushing")
_SHOWN_CHARACTERS = 100
_MAX_BARS = 127  # layers of an image, at most


@contextmanager
def layer_bars(what: str) -> Iterator[Callable[[LayerProgress], None]]:
    """Draws the bars while the block runs, and yields the function that updates them."""
    progress = _bars(what, _text("{task.fields[layer]}"))
    tasks: dict[str, TaskID] = {}

    def update(layer: LayerProgress) -> None:
        status = printable(layer.status, limit=_SHOWN_CHARACTERS)
        if layer.layer not in tasks and len(tasks) >= _MAX_BARS:
            return
        if layer.layer not in tasks:
            name = printable(layer.layer, limit=_SHOWN_CHARACTERS)
            tasks[layer.layer] = progress.add_task(status, total=None, layer=name)
        task = tasks[layer.layer]
        if layer.status in _DONE:
            total = progress.tasks[task].total or 1
            progress.update(task, description=status, total=total, completed=total)
        elif layer.status in _MEASURED and layer.current is not None:
            progress.update(task, description=status, total=layer.total, completed=layer.current)
        else:
            progress.update(task, description=status)

    with progress:
        yield update


@contextmanager
def copy_bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Draws one bar while the block runs, and yields the function that updates it."""
    progress = _bars(what)
    task = progress.add_task("", total=total)

    def update(done: int) -> None:
        stored = total is not None and done >= total
        progress.update(task, completed=done, description="storing" if stored else "")

    with progress:
        yield update


def _bars(what: str, *columns: ProgressColumn) -> Progress:
    """Prints a heading, and makes bars that stay on one row each, however narrow the terminal is."""
    console = Console(stderr=True)
    console.print(Text(printable(what)))
    return Progress(
        *columns,
        _text("{task.description}"),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        DownloadColumn(table_column=Column(no_wrap=True)),
        TransferSpeedColumn(table_column=Column(no_wrap=True)),
        console=console,
        expand=True,
    )


def _text(template: str) -> TextColumn:
    return TextColumn(template, markup=False, table_column=Column(no_wrap=True))
