"""``tfserve models``: show and change the models of a running server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tfserve.cli.completion import complete_model
from tfserve.cli.options import AnyEngineOption, JsonOption, LabelsOption, OptionalName, Sha256sOption, VersionsOption
from tfserve.cli.output import Output
from tfserve.errors import UsageError

if TYPE_CHECKING:
    from tfserve.engines.base import Server
    from tfserve.servers.served_models import ModelState
    from tfserve.spec.model import ModelSpec

__all__ = ["models"]

Action = Literal["list", "add", "remove", "label", "pin", "rollback"]
_ARGUMENTS = {
    "list": "no more arguments",
    "add": "PATH[=NAME]…, as tfserve run does",
    "remove": "MODEL…",
    "label": "[MODEL] LABEL=VERSION…, or LABEL= to remove it",
    "pin": "[MODEL] VERSIONS: latest, latest=2, all, or numbers such as 1,3",
    "rollback": "[MODEL]",
}


def models(
    name: OptionalName = None,
    action: Annotated[
        Action,
        typer.Argument(metavar="[ACTION]", help="list, add, remove, label, pin or rollback.", show_default=False),
    ] = "list",
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORD]...", help="Arguments of the action; see above.", autocompletion=complete_model),
    ] = None,
    *,
    versions: VersionsOption = None,
    label: LabelsOption = None,
    sha256: Sha256sOption = None,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=1, help="Seconds to wait until the change is in effect.")
    ] = 120.0,
    engine: AnyEngineOption = "auto",
    json: JsonOption = False,
) -> None:
    """Show or change what a server serves. The server keeps answering requests meanwhile.

    add PATH[=NAME]...; remove MODEL...; label MODEL LABEL=VERSION... (LABEL= removes it); pin MODEL latest|all|1,3;
    rollback MODEL
    """
    from tfserve.cli.model_arguments import parse_models
    from tfserve.host.server_lock import server_lock
    from tfserve.servers.lookup import find_server
    from tfserve.servers.served_models import model_states

    output = Output(json_wanted=json)
    if action != "add" and (versions or label or sha256):
        raise UsageError(
            "--versions, --label and --sha256 can only be used with add.",
            hint="For a model that is already served, use pin and label.",
        )
    server = find_server(name, engine)
    with server_lock(server.name, output) if action != "list" else nullcontext():
        if action == "add" and words:
            specs = parse_models(words, versions=versions or (), labels=label or (), digests=sha256 or ())
            _add(server, specs, wait, output)
        else:
            _change(server, action, words or [], wait, output)
    states = model_states(server)
    if json:
        output.result([_json(state) for state in states], "")
    else:
        rows = [row for state in states for row in _rows(state)]
        output.table(("MODEL", "SERVED", "VERSION", "STATE", "LABELS"), rows)


def _add(server: Server, specs: Sequence[ModelSpec], seconds: float, output: Output) -> None:
    from tfserve.servers import change_models

    change_models.add(server, specs, seconds=seconds, progress=output)


def _change(server: Server, action: Action, words: Sequence[str], seconds: float, output: Output) -> None:
    from tfserve.servers import change_models
    from tfserve.spec.versions import VersionPolicy, parse_label

    match action, words:
        case "list", []:
            pass
        case "remove", [_, *_]:
            change_models.remove(server, words, seconds=seconds)
        case "label", [*_, last] if "=" in last:
            model, rest = (None, words) if "=" in words[0] else (words[0], words[1:])
            change_models.label(server, model, dict(map(parse_label, rest)), seconds=seconds)
        case "pin", [_] | [_, _]:
            model = words[0] if len(words) == 2 else None
            change_models.pin(server, model, VersionPolicy.parse(words[-1]), seconds=seconds)
        case "rollback", [] | [_]:
            version = change_models.rollback(server, next(iter(words), None), seconds=seconds)
            output.notice(
                f"Pinned to version {version}. To follow the newest version again: tfserve models {server.name} pin "
                f"{next(iter(words), server.models[0])} latest"
            )
        case _:
            raise UsageError(
                f"Wrong arguments for {action}: {' '.join(words) or 'none'}.",
                hint=f"tfserve models {server.name} {action} takes {_ARGUMENTS[action]}.",
            )


def _json(state: ModelState) -> dict[str, Any]:
    return {
        "name": state.model.name,
        "base_path": state.model.base_path,
        "serves": str(state.model.versions),
        "labels": dict(state.model.labels),
        "versions": [
            {"version": status.version, "state": status.state, "labels": state.labels_of(status.version)}
            for status in state.versions
        ],
    }


def _rows(state: ModelState) -> list[tuple[str, ...]]:
    served = (state.model.name, str(state.model.versions))
    rows: list[tuple[str, ...]] = [
        (*served, str(status.version), status.state, " ".join(state.labels_of(status.version)) or "-")
        for status in state.versions
    ]
    return rows or [(*served, "-", "-", "-")]
