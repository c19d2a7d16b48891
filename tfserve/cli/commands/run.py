"""``tfserve run``: one server, of one model or several, ready and tried."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfserve.cli.completion import complete_tag
from tfserve.cli.options import (
    EngineOption,
    GpuOption,
    JsonOption,
    LabelsOption,
    ModelWords,
    Sha256sOption,
    VersionsOption,
)
from tfserve.cli.output import Output
from tfserve.defaults import GRPC_PORT, HOST, REST_PORT, WAIT_SECONDS, PullPolicy
from tfserve.errors import TfserveError, UsageError

if TYPE_CHECKING:
    from tfserve.spec.serve import LaunchOptions, ModelSpec, ServeSpec

__all__ = ["run"]


def run(
    words: ModelWords = None,
    *,
    name: Annotated[
        str | None, typer.Option("--name", help="The server's and the only model's name.  [default: the directory's]")
    ] = None,
    model_name: Annotated[
        str | None, typer.Option("--model-name", help="The model's name, where it is not the server's.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="A models.config of your own, which names the models."),
    ] = None,
    versions: VersionsOption = None,
    label: LabelsOption = None,
    sha256: Sha256sOption = None,
    engine: EngineOption = "auto",
    gpu: GpuOption = None,
    gpus: Annotated[
        str | None,
        typer.Option("--gpus", metavar="all|N|0,2|UUID", help="Which GPUs: N of them, or these; device=0 for one."),
    ] = None,
    gpu_memory_fraction: Annotated[
        float | None,
        typer.Option("--gpu-memory-fraction", metavar="F", help="Take this share of each GPU's memory, such as 0.3."),
    ] = None,
    gpu_memory_growth: Annotated[
        bool, typer.Option("--gpu-memory-growth", help="Take a GPU's memory bit by bit, as it is needed.")
    ] = False,
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
    tag: Annotated[
        str | None, typer.Option("--tag", help="The image's tag.  [default: latest]", autocompletion=complete_tag)
    ] = None,
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
    batching: Annotated[
        list[str] | None,
        typer.Option("--batching", metavar="on|KEY=VALUE", help="Run requests together, such as max_batch_size=64."),
    ] = None,
    monitoring: Annotated[
        str | None,
        typer.Option("--monitoring", metavar="on|PATH", help="A page of Prometheus metrics on the REST port."),
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
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Also write it down as YAML, for tfserve up -f FILE.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the equivalent docker run line, and start nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Serve SavedModels: start, wait until ready, try. The trial is one predict request to each."""
    from tfserve.cli.show_server import show_launched
    from tfserve.servers import launch as launching
    from tfserve.spec import values
    from tfserve.spec.gpus import GpuRequest
    from tfserve.spec.image import ImageReference
    from tfserve.spec.serve import LaunchOptions, PortRequest, ServeSpec
    from tfserve.spec.server_configs import parse_batching, parse_monitoring
    from tfserve.spec.server_flags import parse_server_flags
    from tfserve.spec.values import check_name

    output = Output(json_wanted=json)
    if name is not None:
        check_name(name, kind="server", attribute="name")
    paths, server_flags = _split(words or [])
    models = _models(paths, config, image, model_name, name, versions, label, sha256)
    default = models[0].name if models else ImageReference.parse(image).default_name
    spec = ServeSpec(
        name=default if name is None else name,
        models=models,
        config=None if config is None else config.absolute(),
        image=image,
        tag=tag,
        platform=platform,
        host=values.parse_host(host),
        rest_port=PortRequest(REST_PORT) if rest_port is None else PortRequest.parse(rest_port),
        grpc_port=PortRequest(GRPC_PORT) if grpc_port is None else PortRequest.parse(grpc_port),
        environment=values.parse_environment(env or (), os.environ),
        memory=None if memory is None else values.parse_memory(memory),
        cpus=cpus,
        restart=restart,
        remove=remove,
        gpu=gpu,
        gpus=None if gpus is None else GpuRequest.parse(gpus),
        gpu_memory_fraction=gpu_memory_fraction,
        gpu_memory_growth=gpu_memory_growth,
        batching=None if not batching else parse_batching(batching),
        monitoring=None if monitoring is None else parse_monitoring(monitoring),
        server_flags=parse_server_flags(server_flags, Path()),
    )
    options = LaunchOptions(
        engine=engine,
        pull=pull,
        wait_seconds=wait,
        smoke_test=not no_smoke_test,
        smoke_request=None if smoke_test is None else _request(smoke_test),
        replace=replace,
        keep_failed=keep_failed,
    )
    with _saved(save, spec, options):
        if dry_run:
            from tfserve.exporters import command_line

            output.shell_line(command_line(launching.make_plan(spec, engine, output, replace=replace)))
            return
        launched = launching.launch(spec, options, output)
    if foreground:
        from tfserve.cli.show_server import stay

        stay(launched, output)
        return
    try:
        show_launched(launched, output)
    except TfserveError:  # nobody has learned of the server
        launched.server.remove()
        raise


def _split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Splits what was typed into models, and flags for the server, which stand behind them."""
    first = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    return words[:first], words[first:]


def _models(
    paths: Sequence[str],
    config: Path | None,
    image: str | None,
    model_name: str | None,
    name: str | None,
    versions: list[str] | None,
    labels: list[str] | None,
    digests: list[str] | None,
) -> tuple[ModelSpec, ...]:
    """Reads which models to serve: those of the command line, of the user's own configuration, or none: the image's."""
    from tfserve.cli.model_arguments import parse_models
    from tfserve.spec.models_config import read_models_config

    options = {"--model-name": model_name, "--versions": versions, "--label": labels, "--sha256": digests}
    given = [option for option, value in options.items() if value not in (None, [])]
    if config is not None:
        if beside := [*(["MODEL_DIR"] if paths else ()), *given]:
            raise UsageError(
                f"--config names the models, their versions and labels, and excludes {', '.join(beside)}.",
                hint="Write it into that file, or leave --config out.",
            )
        return read_models_config(config)
    if not paths:
        if given and image is not None:
            raise UsageError(
                "The model inside an image has the name and the versions that it was packaged with.",
                hint=f"Leave {', '.join(given)} out; --name names the server.",
            )
        return ()
    only = name if model_name is None and len(paths) == 1 else model_name
    return parse_models(paths, name=only, versions=versions or (), labels=labels or (), digests=digests or ())


@contextmanager
def _saved(file: Path | None, spec: ServeSpec, options: LaunchOptions) -> Iterator[None]:
    """Writes a server down as YAML; when the block fails, the file goes again."""
    if file is None:
        yield
        return
    from tfserve.cli.commands.config import write_new
    from tfserve.config.read import Configured
    from tfserve.config.write import write_servers

    # For the user's eyes only when there are variables or addresses, which may hold secrets.
    secret = bool(spec.environment) or any(isinstance(model.path, str) for model in spec.models)
    write_new(file, write_servers([Configured(spec, options)]), secret=secret)
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _request(source: str) -> bytes:
    from tfserve.client.predict_request import read_request

    return read_request(source).body
