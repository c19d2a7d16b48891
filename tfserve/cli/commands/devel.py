"""``tfserve devel``: runs a container with TensorFlow Serving's sources and compilers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfserve.cli.completion import complete_tag
from tfserve.cli.output import Output
from tfserve.defaults import GRPC_PORT, HOST, PullPolicy

__all__ = ["devel"]


def devel(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND]", help="Command to run.  [default: a shell]")
    ] = None,
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            "--source", metavar="DIR", help="Directory with your sources, to use instead of those in the image."
        ),
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu/--no-gpu", help="Use the image with CUDA, and a GPU.")] = False,
    grpc_port: Annotated[
        str | None,
        typer.Option(
            "--grpc-port",
            metavar="PORT",
            help="Host port for gRPC: a number, 0 for any free port, or none.  [default: 8500]",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to publish the port on; 0.0.0.0 for all networks.")
    ] = HOST,
    image: Annotated[
        str | None, typer.Option("--image", help="Development image.  [default: tensorflow/serving:latest-devel]")
    ] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", help="Tag of the image, such as 2.19.1.", autocompletion=complete_tag)
    ] = None,
    platform: Annotated[
        str | None, typer.Option("--platform", help="Platform of the image, such as linux/amd64.")
    ] = None,
    pull: Annotated[PullPolicy, typer.Option("--pull", help="When to pull the image.")] = "missing",
) -> None:
    """Work in a development container. Without a command, it opens a shell; the exit code is that of the command.

    Piped input is sent to the command. The entrypoint of the image is not used, because it would start a server.
    """
    from tfserve.devel.attach import attached
    from tfserve.devel.container import DevelSpec, prepare
    from tfserve.errors import UsageError
    from tfserve.gpu.machine import Host
    from tfserve.images.engine import docker_engine
    from tfserve.spec.image import ImageReference
    from tfserve.spec.port_request import PortRequest
    from tfserve.spec.values import parse_host

    output = Output()
    terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if not command and not terminal:
        raise UsageError(
            "A shell needs a terminal, but stdin or stdout is not one.",
            hint="Give a command: tfserve devel -- bazel version",
        )
    if source is not None and not source.is_dir():
        raise UsageError(f"{str(source)!r} is not a directory.", hint="Give the directory that contains the sources.")
    spec = DevelSpec(
        image=ImageReference.parse(image, tag).official_variant(gpu=gpu, devel=True),
        command=tuple(command or ()),
        source=None if source is None else source.resolve(),
        platform=platform,
        host=parse_host(host),
        grpc_port=PortRequest(GRPC_PORT) if grpc_port is None else PortRequest.parse(grpc_port),
        gpu=gpu,
        terminal=terminal,
    )
    engine = docker_engine()
    plan = prepare(engine, spec, pull, Host(probe_gpus=gpu), output)
    piped = sys.stdin is not None and not sys.stdin.isatty()
    with attached(engine, plan, terminal=terminal, piped=piped) as container:
        if terminal:
            from tfserve.cli.terminal import interact

            interact(container, output)
        else:
            if piped:
                from tfserve.cli.terminal import send_input

                send_input(container)
            for to_stderr, data in container.output():
                output.raw(data, to_stderr=to_stderr)
        code = container.exit_code()
    raise typer.Exit(code)
