"""``tfserve up`` and ``tfserve down``: start and remove the servers of a YAML file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfserve.cli.options import ConfiguredNames, FileOption, JsonOption, TimeOption
from tfserve.cli.output import Output
from tfserve.defaults import AUTO, STOP_SECONDS
from tfserve.errors import TfserveError, located
from tfserve.spec.fields import option_names
from tfserve.text import shell_quoted

if TYPE_CHECKING:
    from tfserve.servers.reconcile import Step
    from tfserve.servers.up import Outcome

__all__ = ["down", "up"]


def up(
    names: ConfiguredNames = None,
    *,
    file: FileOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, with the commands, and change nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Start the servers of a YAML file. Servers that changed are recreated, the others are left running."""
    from tfserve.config.read import DEFAULT_FILE, choose, read_servers
    from tfserve.config.sent_secrets import sent_secrets
    from tfserve.config.waived import waived_protections
    from tfserve.servers import up as servers_up
    from tfserve.servers.reconcile import reconcile

    servers = choose(read_servers(file or DEFAULT_FILE, os.environ), names or ())
    output = Output(json_wanted=json, masked=servers[0].masked if servers else None)  # all are of one document
    for sentence in waived_protections(servers):
        output.notice(sentence)
    if not dry_run:
        for sentence in sent_secrets(servers, os.environ):
            output.notice(sentence)
    steps = reconcile(servers, output, download=not dry_run)
    if dry_run:
        _show_dry_run(steps, output)
        return
    for step in steps:
        if step.action != "leave":
            output.notice(_summary(step))
    done: list[Outcome] = []
    with _ready_servers_reported(done, file, output):
        with output.waiting() as on_wait:
            busy = [step.name for step in steps if step.action not in ("leave", "fail")]
            if busy:
                on_wait(f"Waiting for {', '.join(busy)} to become ready")
            outcomes = servers_up.up(steps, output, done.append)
        _show(outcomes, output)


def down(
    names: ConfiguredNames = None,
    *,
    file: FileOption = None,
    seconds: TimeOption = STOP_SECONDS,
    json: JsonOption = False,
) -> None:
    """Stop and remove the servers of a YAML file. Their logs are removed, too."""
    from tfserve.config.read import DEFAULT_FILE, choose_names, read_engines
    from tfserve.servers import up as servers_up
    from tfserve.servers.lookup import list_servers

    output = Output(json_wanted=json)
    engines = read_engines(file or DEFAULT_FILE, os.environ)
    choices = {name: engines[name] for name in choose_names(list(engines), names or ())}
    listing = list_servers()
    found = [server for server in listing.servers if choices.get(server.name) in (AUTO, server.engine.name)]
    if len(found) < len(choices):
        listing.refuse_incomplete()
    servers_up.down(found, grace=seconds)
    gone = [server.name for server in found]
    for name in choices:
        if name not in gone:
            output.notice(f"{name} does not exist")
    if gone or json:
        output.result(gone, "\n".join(f"{name} is removed" for name in gone))


def _summary(step: Step) -> str:
    return f"{step.name}: {step.action}{f' ({step.why})' if step.why else ''}"


@contextmanager
def _ready_servers_reported(done: list[Outcome], file: Path | None, output: Output) -> Iterator[None]:
    """Reports which servers are ready if the command is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        names = sorted(outcome.step.name for outcome in done if outcome.server and outcome.step.action != "leave")
        if names:
            of_file = f" -f {shell_quoted(str(file))}" if file else ""
            ready = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} ready and still running"
            output.notice(f"{ready}. To remove: tfserve down {' '.join(names)}{of_file}")
        raise


def _show_dry_run(steps: list[Step], output: Output) -> None:
    from tfserve.engines.choice import host_for
    from tfserve.servers.launch import planned

    shown: list[dict[str, Any]] = []
    failed: list[tuple[str, TfserveError]] = []
    host = host_for((step.configured.spec, step.configured.options.engine) for step in steps)
    with ExitStack() as plans:  # all of them stay open, so that they name different free ports
        for step in steps:
            line, error = None, step.error
            if step.action in ("create", "recreate"):
                spec, engine, replace = step.configured.spec, step.configured.options.engine, step.action == "recreate"
                try:
                    with located(step.configured.locate):
                        plan = plans.enter_context(planned(spec, engine, output, host, replace=replace))
                        line = step.configured.masked(plan.command_line)
                except TfserveError as caught:
                    error = caught
            shown.append({"name": step.name, "action": step.action, "changed": list(step.changed), "command": line})
            if error is not None:
                shown[-1]["error"] = _error_json(error)
                failed.append((step.name, error))
            if not output.json_wanted:
                output.text(f"# {_summary(step)}")
                if line is not None:
                    output.shell_line(line)
    if output.json_wanted:
        output.result(shown, "")
    _exit_with_errors(failed, output)


def _error_json(error: TfserveError) -> dict[str, Any]:
    error.reword(option_names)
    return {"message": error.message, "exit_code": error.exit_code}


def _exit_with_errors(failed: list[tuple[str, TfserveError]], output: Output) -> None:
    """Shows the errors of the servers that failed, and exits with the code of the first."""
    for name, error in failed:
        output.notice(f"{name}:")
        output.error(error)
    if failed:
        raise SystemExit(failed[0][1].exit_code)


def _show(outcomes: list[Outcome], output: Output) -> None:
    from tfserve.servers.status import server_statuses

    statuses = {}
    if output.json_wanted:
        found = [outcome.server for outcome in outcomes if outcome.server is not None]
        statuses = {status.server.name: status.to_json() for status in server_statuses(found)}
    shown: list[dict[str, Any]] = []
    lines = []
    for outcome in outcomes:
        name, action, error = outcome.step.name, outcome.step.action, outcome.error
        shown.append({"name": name, "action": action, **statuses.get(name, {})})
        if error is not None:
            shown[-1]["error"] = _error_json(error)
        elif outcome.server is not None:
            server = outcome.server
            where = server.rest_url or server.grpc_address or "-"
            lines.append(
                f"{name} {'is already running' if action == 'leave' else 'is ready'} ({server.engine.name}, {where})"
            )
    failed = [(outcome.step.name, outcome.error) for outcome in outcomes if outcome.error is not None]
    if shown and (output.json_wanted or lines):
        output.result(shown, lines)
    _exit_with_errors(failed, output)
