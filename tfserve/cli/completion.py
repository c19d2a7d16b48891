"""Shell completion of the names of servers, models, signatures and tags.

Completion never prints an error: names that cannot be found, or not within the time limit, are left out.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from types import FrameType

    from tfserve.engines.base import Server

__all__ = [
    "VARIABLE",
    "begin",
    "complete_configured",
    "complete_help",
    "complete_model",
    "complete_server",
    "complete_server_flag",
    "complete_signature",
    "complete_tag",
    "complete_target",
    "is_wanted",
]

VARIABLE = "_TFSERVE_COMPLETE"
_SECONDS = 2.0
_HARMLESS = re.compile(r"[\w.+/@-]+")  # needs no quoting: the zsh function evaluates the names

Completer = Callable[[typer.Context, str], list[str]]


class _TooLongError(BaseException):
    """The time limit was reached. It is not an Exception, so that handlers for exceptions do not catch it."""


def is_wanted() -> bool:
    """Whether a shell is asking for completions."""
    return os.environ.get(VARIABLE, "").startswith("complete_")


def begin() -> list[str]:
    """Prepares for completion, if a shell asks for it, and returns the words typed after ``tfserve``.

    From then on only completions are printed. Typer would load rich for the help beside each name, and lose text in
    brackets.
    """
    if not is_wanted():
        return []
    if os.environ.get("TFSERVE_DEBUG") != "1":
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - it stays open until the process exits
    sys.modules["rich"] = None  # type: ignore[assignment]
    if "COMP_WORDS" not in os.environ:
        return os.environ.get("_TYPER_COMPLETE_ARGS", "").split()[1:]
    words, position = _joined(os.environ["COMP_WORDS"].split("\n"), int(os.environ.get("COMP_CWORD", "0")))
    os.environ.update(COMP_WORDS="\n".join(words), COMP_CWORD=str(position))
    return words[1:]


def _joined(words: Sequence[str], position: int) -> tuple[list[str], int]:
    """Removes each lone "=" before the word at `position`: bash splits ``--option=value`` into three words."""
    kept = [word for index, word in enumerate(words) if word != "=" or index >= position]
    return kept, position - (len(words) - len(kept))


def _completer(names: Callable[[typer.Context], Iterator[str]]) -> Completer:
    """Makes a completer for Typer that never fails and keeps to the time limit."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        found: dict[str, None] = {}
        with suppress(Exception, _TooLongError), _time_limit():
            for name in names(ctx):
                if name.startswith(incomplete) and _HARMLESS.fullmatch(name):
                    found[name] = None
        return list(found)

    return complete


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _servers(ctx: typer.Context) -> Iterator[Server]:
    """Yields the servers of the chosen engine, or of all engines: first of those that list them without a delay."""
    from tfserve.defaults import AUTO
    from tfserve.engines.registry import engine_kinds
    from tfserve.servers.lookup import list_servers

    chosen = ctx.params.get("engine") or AUTO
    for kind in sorted(engine_kinds(), key=lambda kind: not kind.lists_instantly):
        if kind.is_configured() if chosen == AUTO else kind.name == chosen:
            yield from list_servers(kind.name).servers


def _server_names(ctx: typer.Context) -> Iterator[str]:
    given = ctx.params.get("names") or ()
    wanted = {"start": (False,), "stop": (True,)}.get(ctx.info_name or "", (True, False))
    yield from (server.name for server in _servers(ctx) if server.running in wanted and server.name not in given)


def _configured_names(ctx: typer.Context) -> Iterator[str]:
    from pathlib import Path

    from tfserve.config.document import STANDARD_INPUT
    from tfserve.config.read import DEFAULT_FILE, read_engines

    given = ctx.params.get("names") or ()
    file = Path(ctx.params.get("file") or DEFAULT_FILE)
    names = read_engines(file, os.environ) if file != STANDARD_INPUT else ()  # only the command may read stdin
    yield from (name for name in names if name not in given)


def _model_names(ctx: typer.Context) -> Iterator[str]:
    if ctx.params.get("action") != "add":  # its arguments are paths
        for server in _servers(ctx):
            if server.name == ctx.params.get("name"):
                yield from server.models


def _server_flag_names(ctx: typer.Context) -> Iterator[str]:
    from tfserve.protos.server_flags import SERVER_FLAGS
    from tfserve.spec.server_flags import SET_BY_TFSERVE

    yield from (f"--{flag.name}" for flag in SERVER_FLAGS if flag.name not in SET_BY_TFSERVE)


def _target_names(ctx: typer.Context) -> Iterator[str]:
    words, url = ctx.params.get("words"), ctx.params.get("url")
    if words or url:  # the next words are values, or tfserve did not start the server
        return
    for server in _servers(ctx):
        if server.running:
            yield from (server.name, *server.models)
            if len(server.models) > 1:
                yield from (f"{server.name}/{model}" for model in server.models)


def _signature_names(ctx: typer.Context) -> Iterator[str]:
    from tfserve.client.connection import connect
    from tfserve.client.signature_choice import EXAMPLE_METHODS
    from tfserve.servers.target import split_words

    words, url, engine = (ctx.params.get(name) for name in ("words", "url", "engine"))
    target, _ = split_words(words or (), url=url, engine=engine or "auto", is_value=lambda word: True)
    with connect(target.address, timeout=_SECONDS) as client:
        signatures = client.metadata(target.model).signatures
    verb = ctx.info_name
    yield from (
        name for name, signature in signatures.items() if EXAMPLE_METHODS.get(signature.method, "predict") == verb
    )


def _help_names(ctx: typer.Context) -> Iterator[str]:
    from tfserve.cli.command_table import COMMANDS
    from tfserve.docs import TOPICS

    yield from (*COMMANDS, *TOPICS)


def _tags(ctx: typer.Context) -> Iterator[str]:
    from tfserve.images.engine import configured_engine
    from tfserve.images.list import list_images
    from tfserve.spec.image import ImageReference

    yield "latest"
    if (engine := configured_engine()) is not None:
        images = list_images(engine, ImageReference.parse(ctx.params.get("image")))
        yield from (listed.image.reference.tag for listed in images if listed.image.reference.tag is not None)


complete_help = _completer(_help_names)
complete_configured = _completer(_configured_names)
complete_model = _completer(_model_names)
complete_server = _completer(_server_names)
complete_target = _completer(_target_names)
complete_signature = _completer(_signature_names)
complete_tag = _completer(_tags)


def complete_server_flag(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes flags of the model server after a dash; any other word may be a path."""
    return _completer(_server_flag_names)(ctx, incomplete) if incomplete.startswith("-") else []
