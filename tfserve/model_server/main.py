"""The program: reads the command line, loads the model, opens the port when it is available, and ends on a signal."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfserve import __version__
from tfserve.errors import EngineUnavailableError
from tfserve.model_server import log
from tfserve.model_server.flags import Options, parse, usage
from tfserve.model_server.models.manager import Manager, ManagerOptions, ModelConfig
from tfserve.model_server.runtime import c_api
from tfserve.model_server.runtime.session import LoadOptions
from tfserve.model_server.runtime.session_config import SessionFlags, session_config
from tfserve.model_server.status import StatusError, invalid_argument

_FAILED = 255  # what the official server's -1 becomes


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the server until a signal ends it; does not return.

    Args:
        arguments: the command line without the program's name; by default that of the process.

    Exit codes: 0 after SIGTERM, SIGINT or ``--version``; 255 for a flag that cannot be read, or a server that cannot
    start; 128 plus the signal's number when a second signal cuts the first one short.
    """
    code = _run(sys.argv[1:] if arguments is None else arguments)
    # Not sys.exit: a model that still runs in a thread, past its time, would hold the interpreter's end up.
    os._exit(code)


def _run(arguments: Sequence[str]) -> int:
    program = Path(sys.argv[0]).name
    command_line = parse(arguments)
    for problem in command_line.errors:
        log.error(problem)
    if command_line.errors or "--help" in command_line.unknown[:1]:
        _print(usage(program))
        return _FAILED
    options = command_line.options
    try:
        if options.version:
            _print(f"TensorFlow ModelServer: tfserve {__version__}\nTensorFlow Library: {c_api.version()}\n")
            return 0
        if command_line.unknown:
            _print(f"unknown argument: {log.fit(command_line.unknown[0])}\n{usage(program)}")
        for name in command_line.unused:
            log.warning(f"--{name} changes nothing in this server")
        return _serve(options)
    except StatusError as failure:
        _print(f"Failed to start server. Error: {log.fit(str(failure))}\n")
    except EngineUnavailableError as failure:
        _print(f"Failed to start server. Error: UNAVAILABLE: {failure.message} {failure.hint}\n")
    return _FAILED


def _print(text: str) -> None:
    log.plain(text, stream=1)


def _serve(options: Options) -> int:
    """Loads and serves until told to stop; returns the exit code.

    Raises:
        StatusError: the options contradict each other, the model cannot be loaded, or the port cannot be had.
        EngineUnavailableError: there is no TensorFlow to run models in.
    """
    model = _model(options)
    _check(options)
    manager = _manager(model, options)
    metrics_path = _metrics_path(options)
    log.info(
        "Building single TensorFlow model file config:  "
        f"model_name: {options.model_name} model_base_path: {options.model_base_path}"
    )
    log.info("Adding/updating models.")
    log.info(f" (Re-)adding model: {options.model_name}")
    c_api.library()
    import uvloop

    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(_load_and_serve(options, manager, metrics_path))
    finally:
        loop.close()


def _model(options: Options) -> ModelConfig:
    if options.model_base_path is None:
        raise invalid_argument("Both server_options.model_base_path and server_options.model_config_file are empty!")
    return ModelConfig(options.model_name, options.model_base_path)


def _check(options: Options) -> None:
    if options.rest_api_port == 0:
        raise invalid_argument("--rest_api_port must be set: this server has no other API yet.")
    if options.rest_api_port == options.port:
        raise invalid_argument(
            "server_options.http_port cannot be same as grpc_port. Please use a different port for HTTP/REST API."
        )


def _manager(model: ModelConfig, options: Options) -> Manager:
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
        [model],
        ManagerOptions(
            options.file_system_poll_wait_seconds,
            options.max_num_load_retries,
            options.load_retry_interval_micros / 1e6,
        ),
        LoadOptions(options.saved_model_tags, config),
    )


def _metrics_path(options: Options) -> str | None:
    """Returns the path of the page of metrics, or None if there is to be none."""
    if not options.monitoring_config_file:
        return None
    if options.rest_api_port == 0:
        log.warning("--monitoring_config_file changes nothing without --rest_api_port, which is where metrics are")
        return None
    from tfserve.model_server.monitoring.config import metrics_path

    return metrics_path(options.monitoring_config_file)


async def _load_and_serve(options: Options, manager: Manager, metrics_path: str | None) -> int:
    stop = _stop_on_signals()
    manager.start()
    ready: asyncio.Future[Any] = asyncio.wrap_future(manager.ready)
    told_to_stop: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    # What follows is only needed once the model is there; loading goes on in its thread meanwhile.
    from tfserve.model_server.inference.dispatcher import Dispatcher
    from tfserve.model_server.rest import http_server
    from tfserve.model_server.rest.app import RestApp

    make_dispatcher: Callable[..., Dispatcher] = Dispatcher
    make_app: Callable[..., RestApp] = RestApp
    if metrics_path is not None:
        from tfserve.model_server.monitoring.monitored_dispatcher import MonitoredDispatcher
        from tfserve.model_server.rest.monitored_app import MonitoredRestApp

        make_dispatcher, make_app = MonitoredDispatcher, functools.partial(MonitoredRestApp, metrics_path)

    await asyncio.wait({ready, told_to_stop}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        await ready
        log.info("Finished adding/updating models")
        if options.port != 0:
            log.warning(f"The gRPC API is not served yet: nothing listens on port {options.port}")
        dispatcher = make_dispatcher(manager, options.rest_api_num_threads)
        app = make_app(dispatcher, options.rest_api_max_body_bytes, max(0, options.rest_api_timeout_in_ms))
        try:
            listener = http_server.listen(options.bind_address, options.rest_api_port)
        except StatusError:
            log.error(f"Failed to start HTTP Server at localhost:{options.rest_api_port}")
            raise
        log.info(f"Exporting HTTP/REST API at:localhost:{options.rest_api_port} ...")
        log.plain("[http_server.py] NET_LOG: Entering the event loop ...\n")
        await http_server.serve(app, listener, stop)
    manager.stop()
    told_to_stop.cancel()
    return 0


def _stop_on_signals() -> asyncio.Event:
    """Returns an event that the first SIGTERM or SIGINT sets; the second one ends the process at once."""
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info(f"Received {number.name}: no new requests, finishing those that run")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    return stop
