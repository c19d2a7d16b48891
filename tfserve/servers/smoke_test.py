"""Sends a test request to each model of a new server, to check that it can run them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tfserve.defaults import Api
from tfserve.engines.base import Server
from tfserve.errors import Attribute, NotReadyError, RequestError, Wording, about
from tfserve.progress import Progress
from tfserve.spec.serve import LaunchOptions

__all__ = ["SmokeTest", "read_test_request", "smoke_test"]

_DENIED = "ermission denied"
_TIMEOUT_SECONDS = 120.0  # the first request to a large model also compiles it and allocates memory


@dataclass(frozen=True)
class SmokeTest:
    """The response to the test request.

    Attributes:
        response: the response, parsed, and made valid for every JSON reader by `strict_json`.
        latency_ms: milliseconds from sending the request to the last byte of the response.
    """

    response: dict[str, Any]
    latency_ms: float

    def to_json(self) -> dict[str, Any]:
        """The JSON that ``run`` prints."""
        return {"ok": True, "latency_ms": round(self.latency_ms, 3), "response": self.response}


def read_test_request(options: LaunchOptions) -> LaunchOptions:
    """Returns `options` with the test request itself where they name a file of it.

    Raises:
        UsageError: the file cannot be read, or the request is not a JSON object.
    """
    if not isinstance(options.smoke_test, str):
        return options
    from tfserve.client.predict_request import read_request

    with about("smoke_test"):
        return replace(options, smoke_test=read_request(options.smoke_test).body.decode())


def smoke_test(server: Server, request: bytes | None, progress: Progress) -> SmokeTest | None:
    """Sends one predict request to each model of `server`.

    Args:
        server: a server that is ready.
        request: the body for the first model; None for the smallest request that is valid for its signature.
        progress: receives a notice if no request is possible.

    Returns:
        The response of the first model; None if no request is possible, because only gRPC is published and it is not
        installed, or no signature is for predict.

    Raises:
        NotReadyError: the server refused or failed the request, or its response is malformed.
    """
    from tfserve.client.connection import grpc_is_installed

    api: Api = "rest" if server.rest_url is not None else "grpc"
    if api == "grpc" and not grpc_is_installed():
        progress.notice("No smoke test: REST is not published, and gRPC is not installed.")
        return None
    first = _send(server, api, server.models[0], request, progress)
    for model in server.models[1:]:
        _send(server, api, model, None, progress)
    return first


def _send(server: Server, api: Api, model: str, request: bytes | None, progress: Progress) -> SmokeTest | None:
    from tfserve.client.connection import connect
    from tfserve.client.failures import RefusedError, malformed
    from tfserve.client.json_document import strict_json
    from tfserve.client.model_ref import ModelRef
    from tfserve.client.smallest_request import (
        SMOKE_TEST_HINT,
        NoSmokeRequestError,
        smallest_request,
        smoke_signature,
    )

    of_model = f" of {model}" if len(server.models) > 1 else ""
    ref = ModelRef(model)
    sent_empty_strings = False
    try:
        with connect(str(server.address(api)), api=api, timeout=_TIMEOUT_SECONDS) as client:
            if request is None:
                name, signature = smoke_signature(client.metadata(ref).signatures)
                request = smallest_request(signature, name).body
                # A valid model may refuse it: an empty string is neither an image nor a tf.Example.
                sent_empty_strings = any(spec.dtype == "DT_STRING" for spec in signature.inputs.values())
            response = client.infer("predict", ref, request)
        try:
            return SmokeTest(strict_json(response.document), response.latency_ms)
        except ValueError as error:
            raise malformed(client.url, f"the response is {error}") from None
    except NoSmokeRequestError as error:
        progress.notice(Wording("No smoke test{of_model}: {problem}", of_model=of_model, problem=error.wording))
        return None
    except RequestError as error:
        if sent_empty_strings and isinstance(error, RefusedError) and error.status == 400:
            progress.notice(
                Wording(
                    "No smoke test{of_model}: the model refuses an empty string. Send your own request with {request}.",
                    of_model=of_model,
                    request=Attribute("smoke_test", "FILE"),
                )
            )
            return None
        raise NotReadyError(
            Wording(
                "{name!r} is running, but failed its smoke test{of_model}. {problem}",
                name=server.name,
                of_model=of_model,
                problem=error.wording,
            ),
            hint=_hint(server, error) or SMOKE_TEST_HINT,
            details=error.details,
        ) from error


def _hint(server: Server, error: RequestError) -> str | Wording | None:
    """Returns what to do if the server may not use a file that the model needs; None for any other error."""
    if _DENIED not in error.message:
        return None
    diagnosis = server.diagnose([error.message], None)
    return diagnosis.hint if diagnosis else None
