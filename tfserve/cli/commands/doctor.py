"""``tfserve doctor``: checks whether this machine is ready to serve."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output
from tfserve.errors import EngineUnavailableError, UsageError

if TYPE_CHECKING:
    from tfserve.doctor.facts import Check

__all__ = ["doctor"]

_SECONDS = 5.0
_MAX_SECONDS = 3600
_COLORS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "bright_black"}


def doctor(
    *,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="Timeout for each check.")] = _SECONDS,
    json: JsonOption = False,
) -> None:
    """Check whether this machine is ready to serve models. Each problem is shown with the command that fixes it.

    The exit code is 0 if this machine can serve, with Docker or without.
    """
    from tfserve.doctor import examine

    output = Output(json_wanted=json)
    if not 0.1 <= timeout <= _MAX_SECONDS:  # false for nan, too
        raise UsageError(
            f"{timeout:g} is not a number of seconds from 0.1 to {_MAX_SECONDS}.", hint="For example: --timeout 5"
        )
    found = examine(timeout)
    checks, serving = found.checks, found.serving
    if json:
        output.result({"ok": bool(serving), "checks": [_to_json(check, output) for check in checks]}, "")
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            output.finding(check.status, _COLORS[check.status], check.name.ljust(width), check.detail, check.hint)
        if serving:
            output.text(f"\nThis machine can serve: {' and '.join(serving)}.")
    if not serving:
        raise EngineUnavailableError(
            "This machine cannot serve models yet.",
            hint=f"Install one of the two: Docker, or without Docker: {found.without_docker}",
            doctor=False,
        )


def _to_json(check: Check, output: Output) -> dict[str, Any]:
    hint = None if check.hint is None else output.in_words(check.hint)
    return {**asdict(check), "detail": output.in_words(check.detail), "hint": hint}
