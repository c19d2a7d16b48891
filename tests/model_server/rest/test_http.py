"""HTTP itself: the bytes of unusual clients on real sockets, and how their connections end."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model_server.server_process import PATIENCE, ServerProcess
from tfserve.model_server.rest.limits import Limits

MAX_HEAD_BYTES = Limits().header_bytes
PATH = b"/v1/models/half_plus_two:predict"
BODY = b'{"instances": [1]}'
ANSWER = b'{\n    "predictions": [2.5\n    ]\n}'


@pytest.fixture(scope="module")
def cors_server(tmp_path_factory: pytest.TempPathFactory, half_plus_two: Path) -> Iterator[ServerProcess]:
    """A server that accepts requests of web pages."""
    log = tmp_path_factory.mktemp("cors_server") / "log"
    with ServerProcess(log, half_plus_two, "--rest_api_enable_cors_support", name="half_plus_two") as process:
        yield process.wait_until_ready()


def request(body: bytes = BODY, *headers: bytes, path: bytes = PATH, version: bytes = b"1.1") -> bytes:
    length = b"Content-Length: %d" % len(body)
    lines = [b"POST %b HTTP/%b" % (path, version), b"Host: localhost", length, *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


CHUNKED = request(b"%x\r\n%b\r\n" % (len(BODY), BODY), b"Transfer-Encoding: chunked").replace(b"Content-Length", b"A")


def exchange(server: ServerProcess, *pieces: bytes, end: bool = True) -> bytes:
    """Sends pieces, and returns all bytes until the server closes; with `end`, closes this side for writing first."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        for piece in pieces:
            client.sendall(piece)
        if end:
            client.shutdown(socket.SHUT_WR)
        received = b""
        while piece := client.recv(1 << 16):
            received += piece
        return received


def test_a_half_closed_client_gets_its_answers(server: ServerProcess) -> None:
    answers = exchange(server, request() * 40 + b"POST /v1/models/half")
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == answers.count(ANSWER) == 40


def test_answers_come_in_the_order_of_the_requests(server: ServerProcess) -> None:
    slow = b'{"instances": [' + b"1.0, " * 20_000 + b"2]}"  # too large to be answered on the event loop
    bodies = [slow if number % 3 == 0 else b'{"instances": [%d]}' % number for number in range(10)]
    text = exchange(server, b"".join(map(request, bodies))).decode()
    answers = [part[part.index("{") :] for part in text.split("HTTP/1.1 200 OK\r\n")[1:]]
    assert [json.loads(answer)["predictions"][-1] for answer in answers] == [
        3.0 if number % 3 == 0 else number / 2 + 2 for number in range(10)
    ]


def test_the_last_request_of_a_connection_ends_it(server: ServerProcess) -> None:
    answer = exchange(server, request(BODY, b"Connection: close") + request(), end=False)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert b"\r\nConnection: close\r\n" in answer


def test_http_1_0(server: ServerProcess) -> None:
    assert exchange(server, request(version=b"1.0"), end=False).endswith(ANSWER)
    kept = exchange(server, request(BODY, b"Connection: keep-alive", version=b"1.0") * 2)
    assert kept.count(b"Connection: keep-alive\r\n") == 2


def test_a_body_in_chunks(server: ServerProcess) -> None:
    head = request(b"", b"Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (BODY[:3], BODY[3:])) + b"0\r\n\r\n"
    assert exchange(server, head, chunks[:7], chunks[7:]).endswith(ANSWER)


def test_a_trailer_is_not_a_header(server: ServerProcess) -> None:
    assert exchange(server, CHUNKED + b"0\r\nContent-Encoding: gzip\r\nA: b\r\n\r\n").endswith(ANSWER)


def test_a_client_that_waits_for_100_continue(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(request(BODY, b"Expect: 100-continue")[: -len(BODY)])
        assert client.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        assert client.recv(1 << 16).endswith(ANSWER)
    refused = exchange(
        server, b"POST " + PATH + b" HTTP/1.1\r\nContent-Length: 2000001\r\nExpect: 100-continue\r\n\r\n", end=False
    )
    assert refused.startswith(b"HTTP/1.1 413 ")


def test_an_absolute_target(server: ServerProcess) -> None:
    assert exchange(server, request(path=b"http://127.0.0.1:1" + PATH)).endswith(ANSWER)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (PATH + b"?a=b", "Malformed request: POST /v1/models/half_plus_two:predict?a=b"),
        (b"/v1/models/" + b"m" * 4000 + b":predict", "Servable not found for request: Latest(" + "m" * 4000 + ")"),
        (
            b"/v1/models/" + b"m" * 60_000 + b":predict",
            "Servable not found for request: Latest(" + "m" * 3993 + "… (60040 characters)",
        ),
    ],
)
def test_unusual_paths(server: ServerProcess, path: bytes, message: str) -> None:
    answer = exchange(server, request(path=path))
    assert json.loads(answer[answer.index(b"{") :]) == {"error": message}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods(server: ServerProcess, method: str) -> None:
    answer = server.session.request(method, f"{server.url}:predict", data=BODY)
    assert (answer.status_code, answer.json()) == (400, {"error": f"Malformed request: {method} {PATH.decode()}"})


def test_unsupported_methods(server: ServerProcess) -> None:
    assert server.session.head(server.url).status_code == 400
    assert server.session.head(server.url).content == b""
    answer = server.session.request("TRACE", server.url)
    assert (answer.status_code, answer.json()) == (501, {"error": "The method TRACE is not supported"})


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00\xff" * 100, b"400"),
        (b"GET http:// HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 2 * MAX_HEAD_BYTES, b"431"),
        (b"GET /" + b"a" * 2 * MAX_HEAD_BYTES, b"431"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n", b"431"),
        (b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n", b"431"),
        (request(b"x", b"Transfer-Encoding: chunked").replace(b"Content-Length: 1\r\n", b""), b"400"),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * MAX_HEAD_BYTES, b"431"),
        (CHUNKED + b"0\r\nA: " + b"b" * 3 * MAX_HEAD_BYTES, b"431"),
    ],
)
def test_invalid_http_is_refused(server: ServerProcess, data: bytes, status: bytes) -> None:
    answer = exchange(server, request() + data, end=False)
    assert answer.count(ANSWER) == 1
    last = answer[answer.rindex(b"HTTP/1.1 ") :]
    assert last.startswith(b"HTTP/1.1 " + status)
    assert json.loads(last[last.index(b"{") :]).keys() == {"error"}


def test_an_upgrade_is_answered_without_it(server: ServerProcess) -> None:
    upgrade = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA")
    assert exchange(server, request(BODY, *upgrade) * 1500).count(ANSWER) == 1500
    assert "Traceback" not in server.log


def test_gzip(server: ServerProcess) -> None:
    def ask(body: bytes, encoding: str = "gzip") -> Any:
        answer = server.session.post(
            f"{server.url}:predict", body, headers={"Content-Encoding": encoding}, timeout=PATIENCE
        )
        assert "content-encoding" not in answer.headers
        return answer.status_code, answer.json()

    packed = gzip.compress(BODY)
    assert ask(packed) == ask(packed, "x-gzip") == ask(BODY, "identity") == (200, {"predictions": [2.5]})
    assert ask(gzip.compress(b" " * 1_000_000 + BODY)) == (200, {"predictions": [2.5]})
    status, document = ask(gzip.compress(b" " * 50_000_000))
    assert (status, "2000000 bytes" in document["error"]) == (413, True)
    for broken in (packed[:-9], BODY, b"\x1f\x8b", packed[:12] + b"\xff" + packed[13:]):
        status, document = ask(broken)
        assert status == 400
        assert document["error"].startswith("Failed to uncompress the gzipped body: ")
    assert server.session.get(server.url, headers={"Content-Encoding": "gzip"}).status_code == 200


def test_the_content_type_is_ignored(server: ServerProcess) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "nonsense"):
        answer = server.session.post(f"{server.url}:predict", BODY, headers={"Content-Type": content_type})
        assert answer.json() == {"predictions": [2.5]}


ALLOWED = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}


def test_cors_is_off_by_default(server: ServerProcess, cors_server: ServerProcess) -> None:
    for where, expected in ((server, {}), (cors_server, ALLOWED)):
        answers = [where.predict(BODY), where.predict(b"{"), where.get()]
        answers.append(where.session.options(f"{where.url}:predict", headers={"Origin": "https://example.com"}))
        assert [answer.status_code for answer in answers] == [200, 400, 200, 200]
        assert answers[-1].content == b""
        for answer in answers:
            assert {name: answer.headers[name] for name in ALLOWED if name in answer.headers} == expected
    refused = cors_server.session.options(cors_server.url, headers={"Origin": "file://"})
    assert (refused.status_code, refused.json()) == (400, {"error": "Origin header is missing in CORS preflight"})


NAMES = st.sampled_from(["half_plus_two", "nope", "a%20b", "%", "%ff", "%00", "é", ""]) | st.text(max_size=5)
PARTS = [
    "/v1/",
    "models",
    "/",
    ":predict",
    ":classify",
    ":regress",
    "/metadata",
    "/versions/",
    "1",
    "/labels/",
    "?",
    "#",
]
PATHS = st.lists(st.sampled_from(PARTS) | NAMES, max_size=6).map("".join) | st.builds(
    "/v1/models/{}{}{}".format,
    NAMES,
    st.sampled_from(["", "/versions/1", "/versions/99999999999999999999", "/labels/a"]),
    st.sampled_from(["", ":predict", ":classify", ":regress", ":Predict", "/metadata", ":"]),
)
FEATURES = st.dictionaries(
    st.sampled_from(["x", "x2"]), st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.floats())
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": st.sampled_from(["", "classify_x_to_y", "regress_x_to_y", "regress_x2_to_y3", "no", 1]),
        "examples": st.lists(FEATURES, max_size=3) | FEATURES,
        "context": FEATURES,
        "instances": st.lists(st.floats() | st.integers() | st.text(max_size=3) | FEATURES, max_size=3),
        "inputs": st.lists(st.floats(), max_size=3) | FEATURES,
    },
).map(lambda document: json.dumps(document).encode())
HEADERS = st.sampled_from(
    [
        *(
            b"Content-Encoding: gzip",
            b"Expect: 100-continue",
            b"Connection: close",
            b"Connection: Upgrade\r\nUpgrade: a",
        ),
        *(
            b"Content-Type: \xff",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            b"Origin: http://a",
            b"A:",
            b": b",
        ),
    ]
)
METHODS = st.sampled_from([b"GET", b"POST", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"TRACE", b"CONNECT", b"BREW", b""])


@settings(max_examples=250)
@given(METHODS, PATHS, st.lists(HEADERS, max_size=2), DOCUMENTS | st.binary(max_size=50), st.booleans())
def test_any_request_gets_a_status_of_the_right_class(
    server: ServerProcess, method: bytes, path: str, headers: list[bytes], body: bytes, packed: bool
) -> None:
    body = gzip.compress(body) if packed else body
    sent = request(body, *headers, path=path.encode()).replace(b"POST", method, 1)
    answer = exchange(server, sent).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not answer:  # the body is shorter than its length, or the bytes are not a request
        return
    for part in answer.split(b"HTTP/1.1 ")[1:]:
        status = int(part[:3])
        assert status in (200, 400, 404, 413, 501), part
        head, _, content = part.partition(b"\r\n\r\n")
        if b"text/html" in head or method in (b"HEAD", b"OPTIONS") or b"Content-Length: 0\r\n" in head:
            continue
        assert b"Content-Type: application/json\r\n" in head
        assert (json.loads(content).keys() == {"error"}) is (status != 200)


def test_the_server_is_still_running(server: ServerProcess) -> None:
    assert exchange(server, request()).endswith(ANSWER)
    assert "E0000" not in server.log
