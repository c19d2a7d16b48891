"""Writes a request as a curl command that can be pasted into a shell."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tfserve.errors import Attribute, UsageError, Wording

if TYPE_CHECKING:
    from tfserve.client.connection import Connection
    from tfserve.client.messages import InferenceRequest
    from tfserve.client.model_ref import ModelRef

__all__ = ["curl_command", "curl_line"]

_MAX_ARGUMENT_BYTES = 100_000  # Linux refuses a single argument of 128 KiB (MAX_ARG_STRLEN)


def curl_command(connection: Connection, model: ModelRef, request: InferenceRequest) -> str:
    """Returns the command that sends `request` to the server of `connection`.

    Raises:
        UsageError: `connection` uses gRPC, which curl does not speak.
    """
    if connection.api != "rest":
        raise UsageError(
            "curl sends requests over REST only.", hint=Wording("Omit {api} or {curl}.", api=Attribute("api", "grpc"))
        )
    return curl_line(f"{connection.url}{model.path}:{request.method}", request.body)


def curl_line(url: str, body: bytes) -> str:
    """Returns the command that posts exactly `body` to `url`, quoted for bash, zsh, dash and every other POSIX shell.

    A body that is too long for an argument is piped from ``printf``, a shell builtin that has no such limit. Bytes
    that are not UTF-8 are kept if the line is written with "surrogateescape".

    Args:
        url: the whole URL, ending in ``:predict``.
        body: the request body, without NUL bytes, which JSON never contains.
    """
    quoted = shlex.quote(body.decode("utf-8", "surrogateescape"))
    command = "curl --silent --show-error"
    if set(url) & set("[]{}"):
        command += " --globoff"  # otherwise curl expands the brackets of an IPv6 address
    command += " --header 'Content-Type: application/json'"
    if len(body) > _MAX_ARGUMENT_BYTES:
        return f"printf %s {quoted} | {command} --data-binary @- {shlex.quote(url)}"
    return f"{command} --data-raw {quoted} {shlex.quote(url)}"  # --data-raw: a leading @ does not name a file
