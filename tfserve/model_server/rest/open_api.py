"""Opens the port of the REST API, as the flags say."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from tfserve.model_server import log
from tfserve.model_server.flags import Options
from tfserve.model_server.inference.dispatcher import Dispatcher
from tfserve.model_server.rest import http_server
from tfserve.model_server.rest.allowed_hosts import allowed_hosts
from tfserve.model_server.rest.app import RestApp
from tfserve.model_server.rest.bodies import Bodies
from tfserve.model_server.rest.parser_pool import ParserPool
from tfserve.model_server.status import StatusError


def open_api(
    options: Options, dispatcher: Dispatcher, metrics_path: str | None, parsers: socket.socket
) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
    """Opens the port.

    Args:
        options: the flags.
        dispatcher: runs the requests.
        metrics_path: the path of the metrics page; None for no such page.
        parsers: the socket that `parser_process.start` returned.

    Returns:
        The function that serves until its event is set.

    Raises:
        StatusError: the port cannot be opened.
    """
    make_app: Callable[..., RestApp] = RestApp
    if metrics_path is not None:
        from tfserve.model_server.rest.monitored_app import MonitoredRestApp

        make_app = functools.partial(MonitoredRestApp, metrics_path)
    try:
        listener = http_server.listen(options.bind_address, options.rest_api_port)
    except StatusError:
        log.error(f"Failed to start HTTP Server at localhost:{options.rest_api_port}")
        raise
    limits = options.rest_limits
    pool = ParserPool(parsers, limits)
    hosts = allowed_hosts(options.rest_api_allowed_hosts, http_server.is_on_loopback(listener))
    timeout_ms = max(0, options.rest_api_timeout_in_ms)
    app = make_app(dispatcher, Bodies(limits, pool), timeout_ms, options.rest_api_enable_cors_support, hosts)
    log.info(f"Exporting HTTP/REST API at:localhost:{options.rest_api_port} ...")
    log.write("[http_server.py] NET_LOG: Entering the event loop ...\n")
    pool.prepare()
    return functools.partial(http_server.HttpServer(app, limits).serve, listener)
