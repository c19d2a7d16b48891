"""The program: parses the command line, loads the models, opens the ports once all are available, stops on a signal."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfserve._version import __version__
from tfserve.errors import EngineUnavailableError
from tfserve.model_server import log
from tfserve.model_server.bounded_log import keep_bounded
from tfserve.model_server.flags import Options, parse, usage
from tfserve.model_server.memory import share_freed_memory, trim_memory
from tfserve.model_server.models.config import base_path_of
from tfserve.model_server.models.manager import Manager, ManagerOptions, ModelConfig
from tfserve.model_server.rest import parser_process
from tfserve.model_server.runtime import c_api
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.runtime.session_config import SessionFlags, session_config
from tfserve.model_server.status import StatusError, invalid_argument
from tfserve.protos.own_server_flags import OWN_FLAGS

if TYPE_CHECKING:
    from tfserve.model_server.runtime.batching import Batching

_FAILED = 255  # the official server returns -1
_MAX_PORT = (1 << 16) - 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the server until a signal stops it; does not return.

    Args:
        arguments: the command line without the name of the program; by default that of the process.

    Exit codes: 0 after SIGTERM, SIGINT or ``--version``; 255 if a flag cannot be parsed or the server cannot start; 128
    plus the signal's number after a second signal.
    """
    _open_standard_descriptors()
    code = _run(sys.argv[1:] if arguments is None else arguments)
    # Not sys.exit, which would wait for a model that is still running in a thread.
    os._exit(code)


def _open_standard_descriptors() -> None:
    """Opens stdin, stdout and stderr if they are closed: an opened file would get such a number and be written to."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


def preload() -> None:
    """Loads what every server needs, whatever models it will serve."""
    share_freed_memory()
    c_api.library()
    import_module("uvloop")
    for module in ("grpc.server", "grpc.warmup", "inference.dispatcher", "rest.app", "rest.http_server"):
        import_module(f"tfserve.model_server.{module}")


def _run(arguments: Sequence[str]) -> int:
    command_line = parse(arguments)
    for problem in command_line.errors:
        log.error(problem)
    if command_line.errors or "--help" in command_line.unknown[:1]:
        _print(usage())
        return _FAILED
    options = command_line.options
    try:
        if options.version:
            _print(f"TensorFlow ModelServer: tfserve {__version__}\nTensorFlow Library: {c_api.version()}\n")
            return 0
        if command_line.unknown:
            _print(f"unknown argument: {log.escape(command_line.unknown[0])}\n{usage()}")
        for name in command_line.ignored:
            log.warning(f"--{name} has no effect in this server")
        return _serve(options)
    except StatusError as failure:
        _print(f"Failed to start server. Error: {log.escape(str(failure))}\n")
    except EngineUnavailableError as failure:
        _print(f"Failed to start server. Error: UNAVAILABLE: {failure.message} {failure.hint}\n")
    return _FAILED


def _print(text: str) -> None:
    log.write(text, stream=1)


def _serve(options: Options) -> int:
    """Loads the models and serves until a signal; returns the exit code.

    Raises:
        StatusError: the options contradict each other, a model cannot be loaded, or a port cannot be opened.
        EngineUnavailableError: TensorFlow cannot be loaded.
    """
    models = _models(options)
    _check(options)
    metrics_path = _metrics_path(options)
    # A process can only be forked safely before it has threads, and is cheap to fork before it has TensorFlow.
    parsers = parser_process.start(options.rest_limits) if options.rest_api_port != 0 else None
    manager = _manager(models, options)
    share_freed_memory()
    c_api.library()
    import uvloop

    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(_load_and_serve(options, manager, metrics_path, parsers))
    finally:
        loop.close()


def _models(options: Options) -> tuple[ModelConfig, ...]:
    if options.model_config_file:
        from tfserve.model_server.models.config_file import read_models

        return read_models(Path(options.model_config_file))
    name, base_path = options.model_name, options.model_base_path
    if not base_path:
        raise invalid_argument("Both server_options.model_base_path and server_options.model_config_file are empty!")
    log.info(f"Building single TensorFlow model file config:  model_name: {name} model_base_path: {base_path}")
    return (ModelConfig(name, base_path_of(name, base_path)),)


def _check(options: Options) -> None:
    if options.rest_api_port == 0 and not _serves_grpc(options):
        raise invalid_argument(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set, or "
            "--rest_api_port."
        )
    if options.rest_api_port == options.port != 0:
        raise invalid_argument(
            "server_options.http_port cannot be same as grpc_port. Please use a different port for HTTP/REST API."
        )
    for name in ("port", "rest_api_port"):
        if not 0 <= getattr(options, name) <= _MAX_PORT:
            raise invalid_argument(f"--{name}={getattr(options, name)} is not a port: ports are 0 to {_MAX_PORT}.")
    for name in ("grpc_max_message_bytes", "grpc_max_bytes_in_flight", "grpc_max_fields"):
        if getattr(options, name) < 0:
            what = "fields" if name.endswith("fields") else "bytes"
            raise invalid_argument(f"--{name}={getattr(options, name)} is not a number of {what}.")
    for name in (flag.name for flag in OWN_FLAGS if flag.name.startswith("rest_api_max_")):
        least = 0 if name == "rest_api_max_body_bytes" else 1
        if getattr(options, name) < least:
            raise invalid_argument(f"--{name}={getattr(options, name)} is too small: the least is {least}.")
    if options.batching_parameters_file is not None and not options.enable_batching:
        raise invalid_argument(
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
        )


def _manager(models: tuple[ModelConfig, ...], options: Options) -> Manager:
    config = session_config(
        SessionFlags(
            session_config_file=options.tensorflow_session_config_file,
            session_parallelism=options.tensorflow_session_parallelism,
            intra_op_parallelism=options.tensorflow_intra_op_parallelism,
            inter_op_parallelism=options.tensorflow_inter_op_parallelism,
            per_process_gpu_memory_fraction=options.per_process_gpu_memory_fraction,
            mixed_precision=options.mixed_precision,
        )
    )
    return Manager(
        models,
        ManagerOptions(
            options.file_system_poll_wait_seconds,
            options.max_num_load_retries,
            options.load_retry_interval_micros / 1e6,
            options.num_load_threads,
            options.num_unload_threads,
            options.allow_version_labels_for_unavailable_models,
        ),
        LoadOptions(
            options.saved_model_tags,
            config,
            options.enable_signature_method_name_check,
            _warm_up(options),
            batching=_batching(options),
            tflite_interpreters=max(1, options.num_tflite_pools) if options.prefer_tflite_model else 0,
        ),
    )


def _warm_up(options: Options) -> Callable[[Servable, Path], None] | None:
    if not options.enable_model_warmup:
        return None

    def import_and_warm_up(servable: Servable, directory: Path) -> None:
        from tfserve.model_server.grpc.warmup import warm_up

        warm_up(servable, directory, max(1, options.num_request_iterations_for_warmup))

    return import_and_warm_up


def _batching(options: Options) -> Batching | None:
    """Starts the batching threads if batching is enabled."""
    if not options.enable_batching:
        return None
    from tfserve.model_server.runtime.batching import Batching

    return Batching.start(options.batching_parameters_file, options.enable_per_model_batching_parameters)


def _metrics_path(options: Options) -> str | None:
    """Returns the path of the metrics page, or None if metrics are not enabled."""
    if not options.monitoring_config_file:
        return None
    if options.rest_api_port == 0:
        log.warning("--monitoring_config_file has no effect without --rest_api_port, which serves the metrics")
        return None
    from tfserve.model_server.monitoring.config import metrics_path

    return metrics_path(options.monitoring_config_file)


async def _load_and_serve(
    options: Options, manager: Manager, metrics_path: str | None, parsers: socket.socket | None
) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_failure)
    keep_bounded(loop)
    stop = _stop_on_signals()
    manager.start()
    ready: asyncio.Future[Any] = asyncio.wrap_future(manager.ready)
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    _import_apis(options)  # while threads load the models
    await asyncio.wait({ready, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        await ready
        _poll_config_file(options, manager)
        await _serve_apis(options, manager, metrics_path, parsers, stop)
    ready.cancel()
    manager.stop()
    stopping.cancel()
    return 0


def _import_apis(options: Options) -> None:
    """Imports the modules that `_serve_apis` needs."""
    import tfserve.model_server.inference.dispatcher

    if _serves_grpc(options):
        import tfserve.model_server.grpc.server
    if options.config_reload_socket_path:
        import tfserve.model_server.grpc.reload_socket
    if options.rest_api_port != 0:
        import tfserve.model_server.rest.app
        import tfserve.model_server.rest.http_server  # noqa: F401


async def _serve_apis(
    options: Options, manager: Manager, metrics_path: str | None, parsers: socket.socket | None, stop: asyncio.Event
) -> None:
    """Opens the ports, and serves until `stop` is set and the running requests are finished.

    Raises:
        StatusError: a port cannot be opened.
    """
    from tfserve.model_server.inference.dispatcher import Dispatcher

    make_dispatcher: Callable[[Manager, int], Dispatcher] = Dispatcher
    if metrics_path is not None:
        from tfserve.model_server.monitoring.monitored_dispatcher import MonitoredDispatcher

        make_dispatcher = MonitoredDispatcher
    dispatcher = make_dispatcher(manager, options.rest_api_num_threads)
    serving: list[Callable[[], Coroutine[Any, Any, None]]] = []
    if options.config_reload_socket_path:
        from tfserve.model_server.grpc.reload_socket import ReloadSocket

        serving.append(functools.partial(ReloadSocket(manager, options.config_reload_socket_path).serve, stop))
    elif options.port != 0 and os.geteuid() == 0:
        log.warning(
            f"This server runs as root and takes HandleReloadConfigRequest on port {options.port}: every client of "
            "that port can make it load any model, and models are programs, which then run as root. Start the server "
            "as another user, or with --config_reload_socket_path=PATH, which takes reloads only on a UNIX socket of "
            "mode 0600."
        )
    if _serves_grpc(options):
        from tfserve.model_server.grpc.server import GrpcServer

        serving.append(functools.partial(GrpcServer(dispatcher, options).serve, stop))
    if parsers is not None:
        from tfserve.model_server.rest.open_api import open_api

        serving.append(functools.partial(open_api(options, dispatcher, metrics_path, parsers), stop))
    trimming = asyncio.ensure_future(trim_memory())
    await asyncio.gather(*[serve() for serve in serving])
    trimming.cancel()


def _serves_grpc(options: Options) -> bool:
    return options.port != 0 or bool(options.grpc_socket_path)


def _poll_config_file(options: Options, manager: Manager) -> None:
    if options.model_config_file and options.model_config_file_poll_wait_seconds > 0:
        from tfserve.model_server.models.config_file import ConfigFilePoller

        ConfigFilePoller(Path(options.model_config_file), options.model_config_file_poll_wait_seconds, manager).start()


def _log_failure(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs an uncaught error on one line; the server keeps serving."""
    failure = context.get("exception")
    log.error(f"{context['message']}: {type(failure).__name__}: {failure}" if failure else context["message"])


def _stop_on_signals() -> asyncio.Event:
    """Returns an event that the first SIGTERM or SIGINT sets; the second one ends the process immediately."""
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info(f"Received {number.name}: finishing running requests, accepting no new ones")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    return stop
