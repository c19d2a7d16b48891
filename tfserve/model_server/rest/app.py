"""The REST API as a plain ASGI application: paths, bodies and status codes.

Sources: ``http_rest_api_handler.cc``, ``http_rest_api_util.cc``, ``http_server.cc`` and ``api_rest.md`` of TensorFlow
Serving.
"""

from __future__ import annotations

import asyncio
import functools
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes
from weakref import WeakKeyDictionary

import orjson

from tfserve.model_server import log, turns
from tfserve.model_server.inference.dispatcher import Dispatcher
from tfserve.model_server.models.manager import ModelSpec
from tfserve.model_server.models.version_source import MAX_VERSION
from tfserve.model_server.rest.allowed_hosts import AllowedHosts
from tfserve.model_server.rest.bodies import Bodies, LargeBody, RefusedBodyError
from tfserve.model_server.rest.body_budget import Reservation
from tfserve.model_server.rest.exchange import LARGE_RESPONSE, Headers, Receive, Scope, Send, exchange_of
from tfserve.model_server.rest.model_json import metadata_json, status_json
from tfserve.model_server.rest.requests import RestClassify, RestPredict, RestRegress, RestRequest
from tfserve.model_server.runtime.servable import Servable
from tfserve.model_server.status import HTTP_STATUS, Code, StatusError, invalid_argument, shortened

_PREDICTION_PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?:(classify|regress|predict)", re.IGNORECASE
)
_MODEL_PATH = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:/versions/([0-9]+)|/labels/([^/:]+))?(?:/(metadata))?", re.IGNORECASE
)
INFERENCE: dict[str, type[RestRequest]] = {"predict": RestPredict, "classify": RestClassify, "regress": RestRegress}
"""The request class of each action that runs a model."""

_VERSION_DIGITS = len(str(MAX_VERSION))
_METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"})
_CACHED_PATH_BYTES = 256
_MAX_HOST = 256  # bytes that are shown
_CLOSE = (b"connection", b"close")
_JSON = (b"content-type", b"application/json")
_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
)
_HTML = (b"content-type", b"text/html; charset=ISO-8859-1")
_NOT_FOUND_PAGE = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"


@dataclass(frozen=True)
class Route:
    """The meaning of a path; `action` is predict, classify, regress, metadata, status or preflight."""

    model: ModelSpec
    action: str


class NoSuchPageError(Exception):
    """The path is outside the API."""


class RestApp:
    """The ASGI application.

    Args:
        dispatcher: runs the requests.
        bodies: reads and parses the bodies of requests.
        timeout_ms: longest time of a run, in milliseconds; 0 for no limit.
        cors: whether scripts on web pages of any origin can send requests.
        hosts: the host names by which clients can address the server; None for all.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        bodies: Bodies,
        timeout_ms: int = 0,
        cors: bool = False,
        hosts: AllowedHosts | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._manager = dispatcher.manager
        self._bodies = bodies
        self._timeout_ms = timeout_ms
        self._headers = (_JSON, *_CORS) if cors else (_JSON,)
        self._hosts = hosts
        self._metadata: WeakKeyDictionary[Servable, bytes] = WeakKeyDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])  # ASGI's way to refuse an unsupported protocol
        if self._hosts is not None and (refused := self._hosts.refused(scope)) is not None:
            text = (
                f"This server does not answer requests for the host {refused[:_MAX_HOST].decode('latin-1')}, only for "
                "those of this machine and of --rest_api_allowed_hosts"
            )
            await answer(send, 403, _error_body(text), _JSON, _CLOSE)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request for a host that is allowed."""
        method: str = scope["method"]
        path: bytes = scope["raw_path"]
        headers = self._headers
        body: bytes | LargeBody = b""
        room: Reservation | None = None
        try:
            route = route_of_scope(scope)
            body = await self._bodies.read(scope, receive)
            content = await self._respond(route, scope["headers"], body)
            if isinstance(body, LargeBody):
                body.respond(len(content), exchange_of(receive))
            elif len(content) >= LARGE_RESPONSE:
                room = await self._bodies.room_for_response(len(content), receive)
        except NoSuchPageError:
            await answer(send, 404, _NOT_FOUND_PAGE, _HTML)
        except RefusedBodyError as refusal:
            await answer(send, refusal.status, _error_body(str(refusal)), *headers, _CLOSE)
        except StatusError as failure:
            await answer(send, HTTP_STATUS[failure.code], _error_body(failure.message), *headers)
        except ConnectionError:
            return
        except asyncio.CancelledError:  # the server is shutting down, and the request did not finish in time
            text = "The server was shut down before the request was finished"
            await answer(send, 503, _error_body(text), *headers)
        except Exception as failure:  # any error: the client gets a well-formed response
            log.error(f"{method} {path!r}: {type(failure).__name__}: {failure}")
            await answer(send, 500, _error_body(f"{type(failure).__name__} in the server"), *headers)
        else:
            await answer(send, 200, content, *headers)
        finally:
            if isinstance(body, LargeBody):
                body.close()
            if room is not None:
                room.release()

    async def _respond(self, route: Route, headers: Headers, body: bytes | LargeBody) -> bytes:
        """Returns the body of a successful response, or raises StatusError."""
        if request := INFERENCE.get(route.action):
            return await self._dispatcher.answer(request(route.model, body, self._timeout_ms))
        if route.action == "preflight":
            _check_origin(headers)
            return b""
        if route.action == "status":
            return status_json(self._manager.statuses(route.model.name, route.model.version))
        with self._manager.use(route.model) as servable:
            if (content := self._metadata.get(servable)) is None:
                await turns.take()
                content = self._metadata[servable] = metadata_json(servable)
            return content


def route_of_scope(scope: Scope) -> Route:
    """Returns the route of a request; see `route_of`."""
    path: bytes = scope["raw_path"]
    if query := scope.get("query_string"):  # the API's patterns are matched against path and query
        path = path + b"?" + query
    return (route_of if len(path) <= _CACHED_PATH_BYTES else route_of.__wrapped__)(scope["method"], path)


@functools.lru_cache(maxsize=1024)
def route_of(method: str, raw_path: bytes) -> Route:
    """Returns the route of a request.

    Raises:
        NoSuchPageError: the path is outside the API.
        StatusError: UNIMPLEMENTED, the method is not supported; INVALID_ARGUMENT, the path is malformed.
    """
    if method not in _METHODS:
        raise StatusError(Code.UNIMPLEMENTED, f"The method {method} is not supported")
    path = raw_path.decode("latin-1")
    if not path.lower().startswith("/v1/"):
        raise NoSuchPageError
    if method == "OPTIONS":
        return Route(ModelSpec(""), "preflight")
    pattern = {"POST": _PREDICTION_PATH, "GET": _MODEL_PATH}.get(method)
    match = pattern.fullmatch(path) if pattern else None
    if match is None:
        raise _malformed(method, path)
    name, version_text, label, action = match.groups()
    version = _version(version_text) if version_text else None
    if not name:
        raise invalid_argument("Missing model name in request.")
    model = ModelSpec(_decode(name), version, _decode(label) if label else None)
    # The patterns ignore case, but the action itself must be in lower case.
    if method == "GET":
        return Route(model, "metadata" if action == "metadata" else "status")
    if action not in INFERENCE:
        raise _malformed(method, path)
    return Route(model, action)


def _version(text: str) -> int:
    """Returns the number of a version; raises StatusError if it is too large for one."""
    digits = text.lstrip("0")
    if len(digits) > _VERSION_DIGITS or (version := int(digits or "0")) > MAX_VERSION:
        raise invalid_argument(f"Failed to convert version: {text} to numeric.")
    return version


def _malformed(method: str, path: str) -> StatusError:
    return invalid_argument(f"Malformed request: {method} {path}")


def _decode(text: str) -> str:
    """Returns a part of a path with its percent escapes decoded."""
    return unquote_to_bytes(text.encode("latin-1")).decode(errors="replace")


def _check_origin(headers: Headers) -> None:
    """Raises StatusError FAILED_PRECONDITION if a CORS preflight request has no origin."""
    origin = next((value for name, value in headers if name == b"origin"), b"")
    if b"http://" not in origin and b"https://" not in origin:
        raise StatusError(Code.FAILED_PRECONDITION, "Origin header is missing in CORS preflight")


def _error_body(message: str) -> bytes:
    text = orjson.dumps(shortened(message).encode(errors="replace").decode())
    return b'{\n    "error": ' + text + b"\n}"


async def answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """Sends a whole response."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
