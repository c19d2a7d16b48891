"""Puts load on a server with ``wrk`` (HTTP) or ``h2load`` (gRPC), and returns its throughput and latency."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from tests.benchmarks.cached_models import temporary

CONNECTIONS = 16
_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = io.open("{body}"):read("*a")
"""
_MORE = ("--latency", "--timeout", "30s")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class MissingToolError(Exception):
    """A program that a benchmark needs is not installed."""


@dataclass(frozen=True)
class Load:
    """The results of a load.

    Attributes:
        rate: responses per second.
        p99: the seconds within which 99 % of the responses arrived; 0 if the tool does not report it.
    """

    rate: float
    p99: float = 0.0


def wrk(url: str, body: bytes, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Posts `body` to `url` for `seconds`, one request at a time over each of some connections.

    Raises:
        AssertionError: some responses were errors.
    """
    _need("wrk", "wrk")
    with temporary(body) as file, temporary(_SCRIPT.format(body=file)) as script:
        printed = _run(
            "wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{seconds:g}s", f"-s{script}", *_MORE, url
        )
    assert "Non-2xx" not in printed and "Socket errors" not in printed, printed
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)", printed)
    assert rate and p99, printed
    return Load(float(rate[1]), float(p99[1]) * _UNITS[p99[2]])


def h2load(port: int, method: str, message: bytes, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Calls a gRPC method with `message` for `seconds`, one call at a time over each of some connections.

    Raises:
        AssertionError: not every call was answered. An answer may still be an error, which ``h2load`` cannot tell.
    """
    _need("h2load", "nghttp2-client")
    headers = ("-Hcontent-type: application/grpc", "-Hte: trailers")
    url = f"http://127.0.0.1:{port}/{method}"
    with temporary(b"\0" + len(message).to_bytes(4, "big") + message) as file:
        printed = _run("h2load", "-t1", f"-c{connections}", "-m1", f"-D{seconds:g}", f"-d{file}", *headers, url)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", printed)
    assert rate and " 0 failed, 0 errored, 0 timeout" in printed, printed
    return Load(float(rate[1]))


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise MissingToolError(f"{program} is not installed; on Debian: apt-get install {package}")
