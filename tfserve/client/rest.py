"""A client of TensorFlow Serving's REST API: status, metadata, predict, classify and regress.

Source of paths and documents: ``tensorflow_serving/g3doc/api_rest.md`` and ``model_servers/http_rest_api_util.cc``.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tfserve.client.documents import ModelMetadata, read_metadata, read_status
from tfserve.client.failures import malformed
from tfserve.client.messages import InferenceResponse, Method
from tfserve.client.model_ref import ModelRef
from tfserve.client.transport.reading_time import ReadingTime
from tfserve.client.transport.reply import HttpReply, accept, parse
from tfserve.defaults import Api
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.protos.version_status import VersionStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfserve.client.transport.session import Transport
    from tfserve.models.saved_model import Signature
    from tfserve.protos.dtypes import Array

__all__ = ["RestClient", "base_url", "check_timeout", "poll_status"]

MAX_RESPONSE_BYTES = 256 * 2**20
MAX_RESPONSE_MEMORY = 2**30  # of the parsed response; 64 images with a number for each color take 0.6 GiB
_MAX_DOCUMENT_BYTES = 32 * 2**20  # status and metadata have a few kB
_MAX_DOCUMENT_MEMORY = 64 * 2**20


class RestClient:
    """A connection to one server, kept open between requests. It is not thread-safe.

    No proxy is used for this machine itself; for other hosts, the settings of requests apply (HTTP_PROXY, NO_PROXY,
    REQUESTS_CA_BUNDLE, .netrc). Redirects are not followed.

    Args:
        url: the address of the server, such as ``http://127.0.0.1:8501``; ``http://`` can be omitted.
        timeout: the maximum duration of a request, in seconds.

    Raises:
        UsageError: `url` or `timeout` is not valid.
    """

    api: Api = "rest"

    def __init__(self, url: str, *, timeout: float = 60.0) -> None:
        check_timeout(timeout)
        self.url = base_url(url)
        self.timeout = timeout
        self._transport: Transport | None = None

    def status(self, model: str) -> tuple[VersionStatus, ...]:
        """Returns the status of every version of `model` that the server knows, in the server's order.

        Raises:
            RequestError: the server does not know the model (`RefusedError`, 404), or the request failed.
        """
        return read_status(self.url, self._document(ModelRef(model).path))

    def metadata(self, model: ModelRef) -> ModelMetadata:
        """Returns the signatures of `model`.

        Raises:
            RequestError: the server does not know the model or the version, or the request failed.
        """
        return read_metadata(self.url, model.name, self._document(f"{model.path}/metadata"))

    def infer(self, method: Method, model: ModelRef, body: bytes) -> InferenceResponse:
        """Sends `body`, a JSON request to predict, classify or regress, and returns the response.

        Raises:
            RequestError: the server refused or failed the request (`RefusedError`), is not listening
                (`NotListeningError`), closed the connection (`DroppedError`), did not respond within the timeout
                (`TimedOutError`), or responded with something other than a JSON object, or with too large a one. The
                timeout includes the time to parse the response.
        """
        return self._infer(method, model, body, ReadingTime(self.url, self.timeout))

    def _infer(
        self, method: Method, model: ModelRef, body: bytes, time: ReadingTime, memory: int | None = None
    ) -> InferenceResponse:
        reply = self._send("POST", f"{model.path}:{method}", body, MAX_RESPONSE_BYTES)
        document = parse(self.url, reply.body, memory or MAX_RESPONSE_MEMORY, time)
        if not isinstance(document, dict):
            raise malformed(self.url, "the response is not a JSON object")
        return InferenceResponse(reply.body, document, reply.latency_ms)

    def predict_arrays(
        self, model: ModelRef, arrays: Mapping[str, Array], signature: Signature, signature_name: str
    ) -> dict[str, Array]:
        """Sends the inputs in `arrays`, by name, to predict, and returns the outputs by name.

        Raises:
            RequestError: see `infer`.
            UsageError: an input has a type that REST does not carry.
        """
        from tfserve.client.json_arrays import encode_arrays, read_outputs

        body = encode_arrays(arrays, signature_name)
        time = ReadingTime(self.url, self.timeout)
        has_texts = any(output.dtype == "DT_STRING" for output in signature.outputs.values())
        memory = MAX_RESPONSE_MEMORY // (2 if has_texts else 1)  # strings are copied
        document = self._infer("predict", model, body, time, memory).document
        outputs = read_outputs(self.url, document, signature, time.check)
        time.check()
        return outputs

    def close(self) -> None:
        """Closes the connection; the next request opens a new one."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def __enter__(self) -> RestClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _document(self, path: str) -> Any:
        time = ReadingTime(self.url, self.timeout)
        return parse(self.url, self._send("GET", path, None, _MAX_DOCUMENT_BYTES).body, _MAX_DOCUMENT_MEMORY, time)

    def _send(self, method: str, path: str, body: bytes | None, limit: int) -> HttpReply:
        from tfserve.client.transport.session import Transport

        if self._transport is None:
            self._transport = Transport(self.url)
        return accept(self.url, self._transport.send(method, self.url + path, body, self.timeout, limit))


def check_timeout(seconds: float) -> None:
    """Checks a timeout.

    Raises:
        UsageError: `seconds` is not positive, or is too large.
    """
    if not isinstance(seconds, int | float) or not 0 < seconds <= 10**6:
        raise UsageError(
            Wording("Expected a number of seconds above 0 for {timeout}, found {found!r}.", found=seconds),
            hint=Wording("Give a number of seconds, such as {timeout}.", timeout=Attribute("timeout", 60)),
        )


def poll_status(url: str, model: str, timeout: float = 2.0) -> tuple[VersionStatus, ...]:
    """Requests the status of `model` like `RestClient.status`, but cheaply enough to do so every few milliseconds.

    No proxy is used. While a server is loading, this raises `NotListeningError`, or, behind Docker's port proxy,
    `DroppedError`.

    Args:
        url: the address of the server.
        model: the name of the model.
        timeout: the maximum duration, in seconds.

    Raises:
        RequestError: the request failed; see the classes in `tfserve.client.failures`.
    """
    url = base_url(url)
    path = ModelRef(model).path
    if not url.startswith("http://"):
        with RestClient(url, timeout=timeout) as client:
            return client.status(model)
    from tfserve.client.transport.poll import fetch

    time = ReadingTime(url, timeout)
    reply = accept(url, fetch(url, path, timeout, _MAX_DOCUMENT_BYTES))
    return read_status(url, parse(url, reply.body, _MAX_DOCUMENT_MEMORY, time))


def base_url(text: str) -> str:
    """Returns `text` as the URL of a server: with a scheme, without a trailing slash.

    Raises:
        UsageError: `text` is not an http or https URL with a host.
    """
    wrong = UsageError(f"{text!r} is not the URL of a server.", hint="Give it as http://HOST:PORT")
    url = text if "://" in text else f"http://{text}"
    if not url.isascii() or not url.isprintable() or " " in url:
        raise wrong
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise wrong
    if parts.query or parts.fragment or url.endswith(("?", "#")) or "\\" in url:
        raise wrong
    return url.rstrip("/")
