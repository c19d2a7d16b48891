"""``tfserve logs``: what a server has written."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Annotated

import typer

from tfserve.cli.options import EngineOption, OptionalName
from tfserve.cli.output import Output
from tfserve.errors import UsageError

__all__ = ["logs"]

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def logs(
    name: OptionalName = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what it writes, until it ends.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=0, help="Only so many of the last lines.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only what is newer: 10m, 2h30m, or a time in RFC 3339."),
    ] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="Begin each line with its time.")] = False,
    engine: EngineOption = "auto",
) -> None:
    """Show the log of a server. A stopped one has it, too."""
    from tfserve.servers.lookup import find_server

    output = Output()
    after = None if since is None else parse_since(since, datetime.now(timezone.utc))
    server = find_server(name, engine)
    for line in server.logs(follow=follow, tail=tail, since=after, timestamps=timestamps):
        output.line(line)


def parse_since(text: str, now: datetime) -> datetime:
    """Reads a moment, or how long it is ago.

    Args:
        text: a duration such as ``1d2h30m15s``, or a time in RFC 3339; one without an offset is local time.
        now: what a duration is counted from.

    Raises:
        UsageError: `text` is neither.
    """
    match = _DURATION.fullmatch(text)
    try:
        if text and match:
            days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
            return now - timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is neither a duration nor a time.", hint="Write it as 10m, 2h30m or 2026-01-31T12:00:00Z."
        ) from None
