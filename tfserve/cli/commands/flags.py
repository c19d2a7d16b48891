"""``tfserve flags``: lists the flags of the model server."""

from __future__ import annotations

from typing import Annotated

import typer

from tfserve.cli.options import JsonOption
from tfserve.cli.output import Output
from tfserve.errors import UsageError
from tfserve.protos.own_server_flags import ALL_FLAGS_BY_NAME, OWN_FLAGS_BY_NAME
from tfserve.protos.server_flags import ServerFlag
from tfserve.text import did_you_mean

__all__ = ["flags"]


def flags(
    word: Annotated[
        str | None,
        typer.Argument(metavar="[WORD]", help="Show only flags that contain this word in their name or help."),
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """List the flags of the model server. Pass them to tfserve run after --."""
    wanted = (word or "").lower().lstrip("-").replace("-", "_")
    known = ALL_FLAGS_BY_NAME.values()
    found = [flag for flag in known if wanted in flag.name or wanted.replace("_", " ") in flag.help.lower()]
    if not found:
        hint = did_you_mean(wanted, ALL_FLAGS_BY_NAME) or "List all flags: tfserve flags"
        raise UsageError(f"No flag contains {word!r} in its name or help.", hint=hint)
    output = Output(json_wanted=json)
    if json:
        output.result([_json(flag) for flag in found], "")
    else:
        rows = [(f"--{flag.name}", flag.type, _default(flag), _help(flag)) for flag in found]
        output.table(("FLAG", "TYPE", "DEFAULT", "HELP"), rows)


def _json(flag: ServerFlag) -> dict[str, object]:
    return {
        "name": flag.name,
        "type": flag.type,
        "default": flag.default,
        "help": flag.help,
        "official": _is_official(flag),
    }


def _help(flag: ServerFlag) -> str:
    return flag.help if _is_official(flag) else f"{flag.help} Only tfserve-model-server has this flag."


def _is_official(flag: ServerFlag) -> bool:
    return flag.name not in OWN_FLAGS_BY_NAME


def _default(flag: ServerFlag) -> str:
    if flag.default is None:
        return "CPUs"
    return str(flag.default).lower() if flag.type == "bool" else str(flag.default) or '""'
