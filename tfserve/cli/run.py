"""``tfserve run``: one model, one server, ready and tried."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tfserve.cli.options import EngineOption, JsonOption
from tfserve.cli.output import Output
from tfserve.defaults import GRPC_PORT, HOST, REST_PORT, WAIT_SECONDS, PullPolicy
from tfserve.errors import TfserveError

__all__ = ["run"]


def run(
    model_dir: Annotated[
        Path, typer.Argument(metavar="MODEL_DIR", help="A directory of versions, one version, or a SavedModel.")
    ],
    server_flags: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- SERVER_FLAGS]", help="Flags for tensorflow_model_server, as --name=value."),
    ] = None,
    *,
    name: Annotated[
        str | None, typer.Option("--name", help="The server's and the model's name.  [default: the directory's]")
    ] = None,
    model_name: Annotated[
        str | None, typer.Option("--model-name", help="The model's name, where it is not the server's.")
    ] = None,
    engine: EngineOption = "auto",
    gpu: Annotated[
        bool | None, typer.Option("--gpu/--no-gpu", help="Require or refuse a GPU.  [default: one if there is one]")
    ] = None,
    rest_port: Annotated[
        str | None, typer.Option("--rest-port", metavar="PORT", help="Host port of REST: 8501, 0 for any, or none.")
    ] = None,
    grpc_port: Annotated[
        str | None, typer.Option("--grpc-port", metavar="PORT", help="Host port of gRPC: 8500, 0 for any, or none.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to publish on; 0.0.0.0 for every network.")
    ] = HOST,
    image: Annotated[
        str | None, typer.Option("--image", help="The serving image.  [default: tensorflow/serving]")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="The image's tag.  [default: latest]")] = None,
    platform: Annotated[
        str | None, typer.Option("--platform", help="The image's platform, such as linux/amd64.")
    ] = None,
    pull: Annotated[PullPolicy, typer.Option("--pull", help="When to pull the image.")] = "missing",
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", metavar="NAME[=VALUE]", help="A variable of the server's process; repeatable."),
    ] = None,
    memory: Annotated[str | None, typer.Option("--memory", "-m", help="Memory limit, such as 2g.")] = None,
    cpus: Annotated[float | None, typer.Option("--cpus", help="CPU limit, such as 1.5.")] = None,
    restart: Annotated[
        str | None,
        typer.Option("--restart", metavar="POLICY", help="no, always, unless-stopped or on-failure[:TIMES]."),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Show the log, and stop the server on Ctrl-C.")
    ] = False,
    remove: Annotated[bool, typer.Option("--rm", help="Remove the server when it stops.")] = False,
    keep_failed: Annotated[
        bool, typer.Option("--keep-failed", help="Keep a server that did not become ready.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a server of that name.")] = False,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait until it is ready; 0: do not wait."),
    ] = WAIT_SECONDS,
    smoke_test: Annotated[
        str | None,
        typer.Option("--smoke-test", metavar="FILE|JSON", help="The request to try it with, instead of a small one."),
    ] = None,
    no_smoke_test: Annotated[bool, typer.Option("--no-smoke-test", help="Do not try it.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the equivalent docker run line, and start nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Serve a SavedModel: start, wait until ready, try. The trial is one predict request."""
    from tfserve import launch as launching
    from tfserve import spec as specs
    from tfserve.cli.launched import show_launched
    from tfserve.saved_model import find_model
    from tfserve.server_flags import parse_server_flags
    from tfserve.spec import ModelSpec, PortRequest, ServeSpec

    output = Output(json_wanted=json)
    if name is not None:
        specs.check_name(name, kind="server", option="--name")
    model = next((given for given in (model_name, name) if given is not None), None)
    if model is None:
        model = find_model(model_dir).default_name
    spec = ServeSpec(
        name=model if name is None else name,
        models=(ModelSpec(model_dir, model),),
        image=image,
        tag=tag,
        platform=platform,
        host=specs.parse_host(host),
        rest_port=PortRequest(REST_PORT) if rest_port is None else PortRequest.parse(rest_port),
        grpc_port=PortRequest(GRPC_PORT) if grpc_port is None else PortRequest.parse(grpc_port),
        environment=specs.parse_environment(env or (), os.environ),
        memory=None if memory is None else specs.parse_memory(memory),
        cpus=cpus,
        restart=restart,
        remove=remove,
        gpu=gpu,
        server_flags=parse_server_flags(server_flags or (), Path()),
    )
    if dry_run:
        from tfserve.exporters import command_line

        output.shell_line(command_line(launching.make_plan(spec, engine, output)))
        return
    options = launching.LaunchOptions(
        engine=engine,
        pull=pull,
        wait_seconds=wait,
        smoke_test=not no_smoke_test,
        smoke_request=None if smoke_test is None else _request(smoke_test),
        replace=replace,
        keep_failed=keep_failed,
    )
    launched = launching.launch(spec, options, output)
    if foreground:
        from tfserve.cli.foreground import stay

        stay(launched, output)
        return
    try:
        show_launched(launched, output)
    except TfserveError:  # nobody has learned of the server
        launched.engine.remove(launched.server)
        raise


def _request(source: str) -> bytes:
    from tfserve.client.payload import read_request

    return read_request(source).body
