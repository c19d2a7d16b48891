"""The REST API: paths, bodies and statuses, as a plain ASGI application over a manager.

Sources: ``http_rest_api_handler.cc``, ``http_rest_api_util.cc``, ``http_server.cc`` and ``api_rest.md`` of TensorFlow
Serving.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from tfserve.model_server import log
from tfserve.model_server.inference.dispatcher import Dispatcher
from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.models.version_source import MAX_VERSION
from tfserve.model_server.rest.model_json import metadata_json, status_json
from tfserve.model_server.rest.predict import RestPredict
from tfserve.model_server.status import HTTP_STATUS, Code, StatusError, invalid_argument

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_PREDICTION_PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?:(classify|regress|predict)", re.IGNORECASE
)
_MODEL_PATH = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:/versions/([0-9]+)|/labels/([^/:]+))?(?:/(metadata))?", re.IGNORECASE
)
_JSON = (b"content-type", b"application/json")
_HTML = (b"content-type", b"text/html; charset=ISO-8859-1")
_NOT_FOUND_PAGE = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"


@dataclass(frozen=True)
class Route:
    """What the path of a request says; `action` is predict, classify, regress, metadata or status."""

    model: ModelSpec
    action: str


class NoSuchPageError(Exception):
    """The path is outside the API."""


class RestApp:
    """The ASGI application.

    Args:
        dispatcher: runs what is asked for.
        max_body_bytes: size of the largest body that is read.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.
    """

    def __init__(self, dispatcher: Dispatcher, max_body_bytes: int, timeout_ms: int = 0) -> None:
        self._dispatcher = dispatcher
        self._manager = dispatcher.manager
        self._max_body_bytes = max_body_bytes
        self._timeout_ms = timeout_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])  # how ASGI says that a protocol is not spoken
        method: str = scope["method"]
        path: bytes = scope["raw_path"]
        try:
            route = route_of(method, path)
            body = await self._read_body(scope, receive)
            if body is None:
                text = f"The request body is larger than {self._max_body_bytes} bytes, the limit of this server"
                await answer(send, 413, _error_body(text), _JSON, (b"connection", b"close"))
                return
            content = await self._respond(route, body)
        except NoSuchPageError:
            await answer(send, 404, _NOT_FOUND_PAGE, _HTML)
        except StatusError as failure:
            await answer(send, HTTP_STATUS[failure.code], _error_body(failure.message), _JSON)
        except ConnectionError:
            return
        except asyncio.CancelledError:  # the server ends, and this request did not in time
            text = "The server was told to end before the request was done"
            await answer(send, 503, _error_body(text), _JSON)
        except Exception as failure:  # whatever it is, the client gets a well-formed answer
            log.error(f"{method} {path!r}: {type(failure).__name__}: {failure}")
            await answer(send, 500, _error_body(f"{type(failure).__name__} in the server"), _JSON)
        else:
            await answer(send, 200, content, _JSON)

    async def _respond(self, route: Route, body: bytes) -> bytes:
        """Returns the body of a good response, or raises StatusError."""
        if route.action == "predict":
            return await self._dispatcher.answer(RestPredict(route.model, body, self._timeout_ms))
        if route.action == "status":
            return status_json(self._manager.statuses(route.model.name, route.model.version))
        if route.action == "metadata":
            with self._manager.use(route.model) as servable:
                return metadata_json(servable)
        raise StatusError(Code.UNIMPLEMENTED, f"{route.action} is not served by this server yet")

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Returns the body of the request, or None if it is larger than allowed."""
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return body if len(body) <= self._max_body_bytes else None
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > self._max_body_bytes:
                return None
        chunks = [body]
        size = len(body)
        while message.get("more_body", False):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body_bytes:
                return None
            chunks.append(chunk)
        return b"".join(chunks)


@functools.lru_cache(maxsize=1024)
def route_of(method: str, raw_path: bytes) -> Route:
    """Returns what a request asks for.

    Raises:
        NoSuchPageError: the path is not one of the API's.
        StatusError: INVALID_ARGUMENT, it is, and asks for nothing there is.
    """
    path = raw_path.decode("latin-1")
    if not path.lower().startswith("/v1/"):
        raise NoSuchPageError
    pattern = {"POST": _PREDICTION_PATH, "GET": _MODEL_PATH}.get(method)
    match = pattern.fullmatch(path) if pattern else None
    if match is None:
        raise invalid_argument(f"Malformed request: {method} {path}")
    name, version_text, label, action = match.groups()
    version = int(version_text) if version_text else None
    if version is not None and version > MAX_VERSION:
        raise invalid_argument(f"Failed to convert version: {version_text} to numeric.")
    if not name:
        raise invalid_argument("Missing model name in request.")
    model = ModelSpec(_decode(name), version, _decode(label) if label else None)
    return Route(model, action.lower() if action else "status")


def _decode(text: str) -> str:
    """Returns the text that percent escapes in a path stand for."""
    return unquote_to_bytes(text.encode("latin-1")).decode(errors="replace")


def _error_body(message: str) -> bytes:
    text = orjson.dumps(message.encode(errors="replace").decode())
    return b'{\n    "error": ' + text + b"\n}"


async def answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """Sends a whole response."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
