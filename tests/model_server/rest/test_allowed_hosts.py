"""Which host names a server on a loopback address answers to: a web page can have its own name resolve to 127.0.0.1."""

from __future__ import annotations

import json
import socket

import pytest

from tests.model_server.server_process import PATIENCE, ServerProcess
from tfserve.model_server.rest.allowed_hosts import AllowedHosts, allowed_hosts

ALLOWED = [
    *(b"localhost", b"LocalHost:8501", b"localhost.", b"localhost.:1", b"a.b.localhost", b"127.0.0.1", b"127.0.0.1:80"),
    *(b"[::1]", b"[::1]:8501", b"[fe80::1%25eth0]:1", b"192.168.1.7:8501", b"10.0.0.1", b"", b" localhost ", b"::1"),
]
REFUSED = [
    *(b"evil.example", b"evil.example:8501", b"localhost.evil.example", b"evillocalhost", b"127.0.0.1.evil.example"),
    *(b"localhost@evil.example", b"evil.example#localhost", b"localhost:1:evil", b"localhost/evil", b"[::1", b"[evil]"),
    *(b"localhost:" + b"1" * 5000, b"127.0.0.1:port", b"999.1.1.1", b"x" * 60_000, b"\xff", b"a", b"@localhost"),
]


def refused(hosts: AllowedHosts, *values: bytes, authority: bytes | None = None) -> bytes | None:
    return hosts.refused({"headers": [(b"host", value) for value in values], "authority": authority})


def test_names_and_addresses_of_this_machine_are_allowed() -> None:
    hosts = AllowedHosts()
    for value in ALLOWED * 2:
        assert refused(hosts, value) is None, value
        assert refused(hosts, authority=value) is None, value
    assert refused(hosts) is None


@pytest.mark.parametrize("value", REFUSED)
def test_other_names_are_refused_wherever_they_are(value: bytes) -> None:
    hosts = AllowedHosts()
    assert refused(hosts, value) == value
    assert refused(hosts, b"localhost", value) == value
    assert refused(hosts, value, b"localhost") == value
    assert refused(hosts, b"localhost", authority=value) == value


def test_the_flag_adds_names_or_allows_all() -> None:
    assert allowed_hosts("", local_only=False) is None
    assert allowed_hosts("*", local_only=True) is allowed_hosts("a,*", local_only=True) is None
    hosts = allowed_hosts(" Models.Example , b.", local_only=False)
    assert hosts is not None
    for value in (b"models.example:1", b"MODELS.example.", b"b", b"localhost", b"127.0.0.1"):
        assert refused(hosts, value) is None, value
    assert refused(hosts, b"example") == b"example"
    assert allowed_hosts("", local_only=True) is not None


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: evil.example:8501\r\nContent-Length: 18",
        b"GET /v1/models/half_plus_two HTTP/1.1\r\nHost: evil.example",
        b"GET /metrics HTTP/1.1\r\nHost: evil.example",
        b"GET /nothing HTTP/1.1\r\nHOST: evil.example",
        b"OPTIONS /v1/models HTTP/1.1\r\nOrigin: http://evil.example\r\nHost: evil.example",
        b"GET http://evil.example/v1/models/half_plus_two HTTP/1.1\r\nHost: localhost",
        b"GET http://localhost@evil.example/v1/models/half_plus_two HTTP/1.1\r\nHost: localhost",
        b"GET http://localhost/v1/models/half_plus_two HTTP/1.1\r\nHost: evil.example",
        b"GET /v1/models/half_plus_two HTTP/1.1\r\nHost: localhost\r\nHost: evil.example",
        b"GET /v1/models/half_plus_two HTTP/1.0\r\nHost: evil.example",
        b"TRACE / HTTP/1.1\r\nHost: evil.example",
    ],
)
def test_every_kind_of_request_is_refused(server: ServerProcess, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(head + b'\r\n\r\n{"instances": [1]}')
        answer = b""
        while piece := client.recv(1 << 16):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 403 ")
    message = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert "evil.example" in message or "@" in message
    assert "--rest_api_allowed_hosts" in message


def test_a_request_without_a_host_is_answered(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(b"GET /v1/models/half_plus_two HTTP/1.0\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
