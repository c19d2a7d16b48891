"""``tfserve logs``: show the log of a server."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Annotated

import typer

from tfserve.cli.options import AnyEngineOption, OptionalName
from tfserve.cli.output import Output
from tfserve.errors import UsageError

__all__ = ["logs"]

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def logs(
    name: OptionalName = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow the log until the server exits.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=0, help="Number of last lines to show.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only lines since then: 10m, 2h30m, or a time in RFC 3339."),
    ] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="Begin each line with its time.")] = False,
    engine: AnyEngineOption = "auto",
) -> None:
    """Show the log of a server, running or stopped."""
    from tfserve.servers.lookup import find_server

    output = Output()
    after = None if since is None else parse_since(since, datetime.now(timezone.utc))
    server = find_server(name, engine)
    for line in server.logs(follow=follow, tail=tail, since=after, timestamps=timestamps):
        output.line(line)


def parse_since(text: str, now: datetime) -> datetime:
    """Parses a time, or a duration before now.

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
            f"{text!r} is neither a duration nor a time.", hint="Examples: 10m, 2h30m, 2026-01-31T12:00:00Z"
        ) from None
