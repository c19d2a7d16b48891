"""The REST API of TensorFlow Serving, from the client's side: status, metadata, predict, classify and regress.

Source of paths and documents: ``tensorflow_serving/g3doc/api_rest.md`` and ``model_servers/http_rest_api_util.cc``.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from tfserve.client.documents import ModelMetadata, VersionStatus, read_metadata, read_status
from tfserve.client.failures import malformed
from tfserve.client.transport.reply import HttpReply, accept, parse
from tfserve.defaults import Api
from tfserve.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfserve.client.transport.session import Transport
    from tfserve.models.saved_model import Signature
    from tfserve.protos.dtypes import Array

__all__ = [
    "InferenceResponse",
    "RestClient",
    "Verb",
    "base_url",
    "check_timeout",
    "model_path",
    "poll_status",
]

Verb = Literal["predict", "classify", "regress"]

MAX_ANSWER_BYTES = 256 * 2**20
_MAX_DOCUMENT_BYTES = 32 * 2**20  # status and metadata: a few kB, as a rule
_MAX_VERSION = 2**63 - 1


@dataclass(frozen=True)
class InferenceResponse:
    """The answer to a request to predict, classify or regress.

    Attributes:
        body: the server's own bytes, unchanged: a JSON object with "predictions", "outputs" or "results".
        document: that object, parsed as `tfserve.client.json_document.read_json` does.
        latency_ms: from sending the request to the last byte of the answer, in milliseconds.
    """

    body: bytes
    document: dict[str, Any]
    latency_ms: float


class RestClient:
    """A connection to one server, kept open between requests. Not for use by several threads at once.

    Hosts of this machine are asked directly, whatever HTTP_PROXY says; for others the usual environment holds
    (HTTP_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE, .netrc). Redirects are not followed.

    Args:
        url: where the server is, such as ``http://127.0.0.1:8501``; ``http://`` may be left out.
        timeout: how long a whole request may take at most, in seconds.

    Raises:
        UsageError: `url` is not such a URL, or `timeout` is not more than 0.
    """

    api: Api = "rest"

    def __init__(self, url: str, *, timeout: float = 60.0) -> None:
        check_timeout(timeout)
        self.url = base_url(url)
        self.timeout = timeout
        self._transport: Transport | None = None

    def status(self, model: str) -> tuple[VersionStatus, ...]:
        """Returns the status of every version of `model` that the server knows, as the server orders them.

        Raises:
            RequestError: the server does not know the model (`RefusedError`, 404), or does not answer properly.
        """
        return read_status(self.url, self._document(model_path(model)))

    def metadata(self, model: str, *, version: int | None = None, label: str | None = None) -> ModelMetadata:
        """Returns the signatures of one version of `model`: the newest, or that of `version` or `label`.

        Raises:
            RequestError: no such model or version, or no proper answer.
            UsageError: both `version` and `label`.
        """
        path = model_path(model, version=version, label=label)
        return read_metadata(self.url, model, self._document(f"{path}/metadata"))

    def ask(
        self, verb: Verb, model: str, body: bytes, *, version: int | None = None, label: str | None = None
    ) -> InferenceResponse:
        """Sends `body`, a JSON request to predict, classify or regress, and returns the answer.

        Raises:
            RequestError: the server refused or failed the request (`RefusedError`), is not there
                (`NotListeningError`), went away meanwhile (`DroppedError`), took longer than the timeout
                (`TimedOutError`), or answered something that is not a JSON object.
            UsageError: both `version` and `label`.
        """
        path = f"{model_path(model, version=version, label=label)}:{verb}"
        answer = self._send("POST", path, body, MAX_ANSWER_BYTES)
        document = parse(self.url, answer.body)
        if not isinstance(document, dict):
            raise malformed(self.url, "its answer is not a JSON object")
        return InferenceResponse(answer.body, document, answer.latency_ms)

    def predict(
        self, model: str, body: bytes, *, version: int | None = None, label: str | None = None
    ) -> InferenceResponse:
        """Sends `body`, a JSON request to predict; see `ask`."""
        return self.ask("predict", model, body, version=version, label=label)

    def predict_arrays(
        self,
        model: str,
        arrays: Mapping[str, Array],
        signature: Signature,
        signature_name: str,
        *,
        version: int | None = None,
        label: str | None = None,
    ) -> dict[str, Array]:
        """Asks to predict from the inputs in `arrays`, by name, and returns the outputs by name.

        Raises:
            RequestError: as `ask`.
            UsageError: an input has a type that REST does not carry; or as `ask`.
        """
        from tfserve.client.json_arrays import encode_arrays, read_outputs

        body = encode_arrays(arrays, signature_name)
        response = self.ask("predict", model, body, version=version, label=label)
        return read_outputs(self.url, response.document, signature)

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
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
        return parse(self.url, self._send("GET", path, None, _MAX_DOCUMENT_BYTES).body)

    def _send(self, method: str, path: str, body: bytes | None, limit: int) -> HttpReply:
        from tfserve.client.transport.session import Transport

        if self._transport is None:
            self._transport = Transport(self.url)
        return accept(self.url, self._transport.send(method, self.url + path, body, self.timeout, limit))


def check_timeout(seconds: float) -> None:
    """Refuses a time that nobody can wait.

    Raises:
        UsageError: `seconds` is not more than 0, or too long.
    """
    if not 0 < seconds <= 10**6:
        raise UsageError(f"A timeout of {seconds:g} s is not possible.", hint="Give seconds: --timeout 60")


def poll_status(url: str, model: str, timeout: float = 2.0) -> tuple[VersionStatus, ...]:
    """Asks once for the status of `model`: as `RestClient.status`, but cheap enough to be asked every few ms.

    The server is asked directly, without a proxy. While a server loads, this raises `NotListeningError`, or
    `DroppedError` behind Docker's port proxy.

    Args:
        url: where the server is.
        model: the model's name.
        timeout: how long it may take at most, in seconds.

    Raises:
        RequestError: no proper answer; the classes in `tfserve.client.failures` tell why.
    """
    url = base_url(url)
    path = model_path(model)
    if not url.startswith("http://"):
        with RestClient(url, timeout=timeout) as client:
            return client.status(model)
    from tfserve.client.transport.poll import fetch

    answer = accept(url, fetch(url, path, timeout, _MAX_DOCUMENT_BYTES))
    return read_status(url, parse(url, answer.body))


def base_url(text: str) -> str:
    """Returns `text` as the URL of a server: with a scheme, without a slash at the end.

    Raises:
        UsageError: it is not an http or https URL with a host.
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


def model_path(name: str, *, version: int | None = None, label: str | None = None) -> str:
    """Returns the path of a model, or of one of its versions: ``/v1/models/NAME[/versions/N|/labels/L]``.

    Names and labels are percent-encoded; ``:predict`` or ``/metadata`` go behind it.

    Raises:
        UsageError: both `version` and `label`, or one of the three that no path can hold.
    """
    if version is not None and label is not None:
        raise UsageError("A version and a label exclude each other.", hint="Give --version or --label.")
    path = f"/v1/models/{_segment(name, 'model name')}"
    if version is not None:
        if not 0 <= version <= _MAX_VERSION:
            raise UsageError(f"{version} is not a version.", hint="Versions are numbers, from 0 on.")
        return f"{path}/versions/{version}"
    return path if label is None else f"{path}/labels/{_segment(label, 'label')}"


def _segment(text: str, what: str) -> str:
    try:
        encoded = quote(text, safe="", errors="surrogateescape")
    except UnicodeEncodeError:
        encoded = ""
    if encoded in ("", ".", ".."):  # the dots would be taken as steps in the path
        raise UsageError(f"{text!r} cannot be a {what}.", hint="tfserve status shows what a server serves.")
    return encoded
