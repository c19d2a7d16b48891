from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.free_ports import free_ports
from tfserve.client import rest
from tfserve.client.failures import DroppedError, NotListeningError, RefusedError, TimedOutError
from tfserve.client.model_ref import ModelRef
from tfserve.client.rest import RestClient, base_url, poll_status
from tfserve.errors import RequestError, UsageError
from tfserve.host.deadline import TimedResponse
from tfserve.protos.version_status import VersionStatus

from .conftest import ROOT, wait_until_available
from .faulty_server import (
    FaultyServer,
    flooding,
    resetting,
    responding,
    responding_json,
    stalling,
    trickling,
)

JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def test_status_of_a_real_server(server_url: str) -> None:
    expected = (VersionStatus(1, "AVAILABLE", "OK", ""),)
    with RestClient(server_url) as client:
        assert client.status("half_plus_two") == expected
    assert poll_status(server_url, "half_plus_two") == expected


def test_metadata_of_a_real_server(server_url: str) -> None:
    with RestClient(server_url) as client:
        metadata = client.metadata(ModelRef("half_plus_two"))
        assert client.metadata(ModelRef("half_plus_two", version=1)) == metadata
    assert (metadata.name, metadata.version) == ("half_plus_two", 1)
    assert {"classify_x_to_y", "regress_x_to_y", "serving_default"} <= set(metadata.signatures)
    default = metadata.signatures["serving_default"]
    assert default.method == "tensorflow/serving/predict"
    assert default.inputs["x"].dtype == "DT_FLOAT"
    assert set(default.outputs) == {"y"}
    assert metadata.document["model_spec"]["name"] == "half_plus_two"


def test_predict_on_a_real_server(server_url: str) -> None:
    with RestClient(server_url) as client:
        for _ in range(2):  # the second request uses the same connection
            response = client.infer("predict", ModelRef("half_plus_two"), b'{"instances": [1.0, 2.0, 5.0]}')
            assert b"".join(response.body.split()) == b'{"predictions":[2.5,3.0,4.5]}'
            assert response.document == {"predictions": [2.5, 3.0, 4.5]}
            assert 0 < response.latency_ms < 60_000


@pytest.mark.parametrize(
    ("model", "body", "status", "words"),
    [
        ("nope", b'{"instances": [1.0]}', 404, "nope"),
        ("half_plus_two", b'{"instances": ["a"]}', 400, "float"),
        ("half_plus_two", b"{", 400, "JSON"),
    ],
)
def test_refusals_of_a_real_server(server_url: str, model: str, body: bytes, status: int, words: str) -> None:
    with RestClient(server_url) as client, pytest.raises(RefusedError, match=r"^The server refused") as caught:
        client.infer("predict", ModelRef(model), body)
    assert caught.value.status == status
    assert caught.value.exit_code == 8
    assert words.lower() in caught.value.message.lower()
    assert caught.value.hint


def test_unknown_model_has_no_status(server_url: str) -> None:
    with pytest.raises(RefusedError) as caught:
        poll_status(server_url, "nope")
    assert caught.value.status == 404


def test_label_that_the_server_does_not_know(server_url: str) -> None:
    with RestClient(server_url) as client, pytest.raises(RefusedError):
        client.infer("predict", ModelRef("half_plus_two", label="stable"), b'{"instances": [1.0]}')


def test_nothing_listens(closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}"
    with RestClient(url) as client, pytest.raises(NotListeningError, match=url):
        client.infer("predict", ModelRef("m"), b"{}")
    with pytest.raises(NotListeningError, match=url):
        poll_status(url, "m")


def test_server_killed_during_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill_and_begin(response: TimedResponse) -> None:  # called when the request has been sent
        process.kill()
        process.wait()
        HTTPResponse.begin(response)

    (port,) = free_ports(1)
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log"
    command = [
        *(sys.executable, "-m", "tfserve.model_server", "--port=0", f"--rest_api_port={port}"),
        *("--bind_address=127.0.0.1", "--model_name=half_plus_two"),
        f"--model_base_path={ROOT / 'examples' / 'half_plus_two'}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | {"PYTHONPATH": str(ROOT)})
        try:
            wait_until_available(url, process, log)
            process.send_signal(signal.SIGSTOP)  # from now on, the server does not respond
            monkeypatch.setattr(TimedResponse, "begin", kill_and_begin)
            with RestClient(url) as client, pytest.raises(DroppedError, match="closed the connection") as caught:
                client.infer("predict", ModelRef("half_plus_two"), b'{"instances": [1.0]}')
            assert process.poll() == -signal.SIGKILL
        finally:
            process.kill()
            process.wait()
    assert caught.value.hint is not None
    assert "tfserve logs" in caught.value.hint


@pytest.mark.parametrize(
    "faulty",
    [
        pytest.param(partial(responding, b""), id="hangs up"),
        pytest.param(partial(resetting), id="resets"),
        pytest.param(partial(responding, JSON_HEAD + b"Content-Length: 100\r\n\r\n{}"), id="truncated"),
        pytest.param(
            partial(responding, JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}"), id="truncated chunk"
        ),
    ],
)
def test_connection_that_ends_early(faulty: Callable[[], FaultyServer]) -> None:
    with faulty() as server, RestClient(server.url) as client:
        with pytest.raises(DroppedError):
            client.infer("predict", ModelRef("m"), b"{}")
        with pytest.raises(DroppedError):
            poll_status(server.url, "m")


@pytest.mark.parametrize(
    "faulty",
    [
        pytest.param(partial(stalling), id="no response"),
        pytest.param(partial(stalling, JSON_HEAD), id="half a head"),
        pytest.param(partial(stalling, JSON_HEAD + b"Content-Length: 100\r\n\r\n{"), id="half a body"),
        pytest.param(partial(trickling, JSON_HEAD + b"X-A: "), id="a head for ever"),
        pytest.param(partial(trickling, JSON_HEAD + b"\r\n"), id="a body for ever"),
        pytest.param(partial(trickling, JSON_HEAD + b"Content-Length: 99999\r\n\r\n"), id="a slow body"),
    ],
)
def test_time_is_limited(faulty: Callable[[], FaultyServer]) -> None:
    with faulty() as server:
        begin = time.monotonic()
        with (
            RestClient(server.url, timeout=0.3) as client,
            pytest.raises(TimedOutError, match=r"within 0\.3 s") as caught,
        ):
            client.infer("predict", ModelRef("m"), b"{}")
        with pytest.raises(TimedOutError, match=r"within 0\.2 s"):
            poll_status(server.url, "m", timeout=0.2)
        assert time.monotonic() - begin >= 0.5
    assert caught.value.hint is not None
    assert "timeout=" in caught.value.hint


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_time_is_limited_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = tmp_path / "certificate.pem"
    making = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=test"
    extensions = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:true"
    command = [*making.split(), *extensions.split(), "-keyout", str(certificate), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    for start in (JSON_HEAD + b"X-A: ", JSON_HEAD + b"\r\n"):
        with trickling(start, tls) as server, RestClient(server.url, timeout=0.5) as client:
            begin = time.monotonic()
            with pytest.raises(TimedOutError, match=r"within 0\.5 s"):
                client.infer("predict", ModelRef("m"), b"{}")
            assert time.monotonic() - begin >= 0.5
        assert server.requests[0].startswith(b"POST ")


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"\0\0\x12\4\0\0\0\0\0\0\3\x7f\xff\xff\xff\0\4\0\x10\0\0\0\6\0\0\x20\0", "does not speak HTTP"),  # gRPC
        (JSON_HEAD + b"\r\n<html>hello</html>", "not JSON"),
        (JSON_HEAD + b'\r\n{"predictions": [1', "not JSON"),
        (JSON_HEAD + b"\r\n" + b"[" * 100_000, "not JSON"),
        (JSON_HEAD + b"\r\n[1]", "not a JSON object"),
        (JSON_HEAD + b"\r\n", "not JSON"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "HTTP status is 204"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "redirects to 'http://127.0.0.1:1/'"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n", "redirects to"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "redirects to"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n<html>\x1b[2J</html>", "HTTP 404 Not Found"),
        (b'HTTP/1.1 400 Bad\r\n\r\n{"error": 5}', "HTTP 400"),
        (b"HTTP/1.1 400 Bad\r\n\r\n[]", "HTTP 400"),
        (b"HTTP/1.1 777 What\r\n\r\n", "HTTP 777"),
        (b"HTTP/1.1 503 Unavailable\r\n\r\n" + b'{"error": "try \x1b[31mlater"}', "HTTP 503"),
        (
            b"HTTP/1.1 503 Unavailable\r\n\r\n" + rb'{"error": "try \u001b[31mlater"}',
            r"failed the request: try \x1b[31mlater",
        ),
    ],
)
def test_malformed_responses(response: bytes, words: str) -> None:
    with responding(response) as server, RestClient(server.url) as client:
        with pytest.raises(RequestError) as caught:
            client.infer("predict", ModelRef("m"), b"{}")
        assert words in caught.value.message
        assert "\x1b" not in caught.value.message
        with pytest.raises(RequestError):
            client.metadata(ModelRef("m"))
        with pytest.raises(RequestError):
            poll_status(server.url, "m")


@pytest.mark.parametrize("head", [JSON_HEAD + b"\r\n", b"HTTP/1.1 301 Gone\r\n\r\n"])
def test_size_is_limited(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MAX_RESPONSE_BYTES", 2**20)
    with (
        flooding(head) as server,
        RestClient(server.url, timeout=10) as client,
        pytest.raises(RequestError, match="larger than 1 MiB"),
    ):
        client.infer("predict", ModelRef("m"), b"{}")


def test_long_error_is_truncated() -> None:
    with (
        flooding(b"HTTP/1.1 500 Oh\r\n\r\n") as server,
        RestClient(server.url, timeout=10) as client,
        pytest.raises(RefusedError, match="HTTP 500"),
    ):
        client.infer("predict", ModelRef("m"), b"{}")


def test_body_is_unchanged_even_if_it_is_not_utf8() -> None:
    body = b'\n{"predictions":\t["\xff\xfe", NaN, -Infinity, ' + b"9" * 5000 + b"]}"
    with responding_json(body) as server, RestClient(server.url) as client:
        assert client.infer("predict", ModelRef("m"), b"{}").body == body


def test_what_is_sent() -> None:
    with responding_json(b"{}") as server, RestClient(server.url + "/base/") as client:
        client.infer("predict", ModelRef("a b/ü:%", label="x/y"), b'{"instances":[1]}')
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /base/v1/models/a%20b%2F%C3%BC%3A%25/labels/x%2Fy:predict HTTP/1.1\r\n")
    assert b"content-type: application/json" in head.lower()
    assert body == b'{"instances":[1]}'


def test_proxy_is_used_for_other_hosts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with responding_json(b'{"from": "proxy"}') as proxy, responding_json(b'{"from": "server"}') as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            with RestClient(url) as client:
                assert client.infer("predict", ModelRef("m"), b"{}").body == b'{"from": "server"}'
        with RestClient("http://model.invalid:8501") as client:
            assert client.infer("predict", ModelRef("m"), b"{}").body == b'{"from": "proxy"}'
    assert proxy.requests[0].startswith(b"POST http://model.invalid:8501/v1/models/m:predict ")


def test_unknown_host() -> None:
    with RestClient("http://model.invalid:8501") as client, pytest.raises(RequestError, match=r"model\.invalid"):
        client.status("m")
    with pytest.raises(RequestError, match=r"model\.invalid"):
        poll_status("http://model.invalid:8501", "m")


def test_https_request_to_an_http_server(server_url: str) -> None:
    url = server_url.replace("http", "https")
    with RestClient(url, timeout=5) as client, pytest.raises(RequestError, match="No secure connection"):
        client.status("m")
    with pytest.raises(RequestError, match="No secure connection"):
        poll_status(url, "m", timeout=5)


def test_password_is_not_shown(closed_port: int) -> None:
    url = f"http://user:secret@127.0.0.1:{closed_port}"
    with RestClient(url) as client, pytest.raises(NotListeningError) as caught:
        client.status("m")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:8501", "http://127.0.0.1:8501"),
        ("http://host/", "http://host"),
        ("https://host:1/a/b//", "https://host:1/a/b"),
        ("http://[::1]:8501", "http://[::1]:8501"),
    ],
)
def test_base_url(text: str, url: str) -> None:
    assert base_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "ftp://host",
        "http://host:99999",
        "http://host:x",
        "http://h:0",
        "http://a b",
        "http://[",
        "h/?q=1",
        *("http://h#f", "http://h\n", "http://hö", "http://h\\x", "file:///etc/passwd", "http://:8501"),
    ],
)
def test_invalid_base_url(text: str) -> None:
    with pytest.raises(UsageError, match="is not the URL of a server"):
        base_url(text)


def test_model_path() -> None:
    assert ModelRef("m").path == "/v1/models/m"
    assert ModelRef("m", version=0).path == "/v1/models/m/versions/0"
    assert ModelRef("$(x)\n'\"", label="a b").path == "/v1/models/%24%28x%29%0A%27%22/labels/a%20b"
    assert ModelRef("\udcff").path == "/v1/models/%FF"


@pytest.mark.parametrize("name", ["", ".", "..", "\ud800"])
def test_name_that_no_path_can_hold(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a model name"):
        ModelRef(name)
    with pytest.raises(UsageError, match="cannot be a label"):
        ModelRef("m", label=name)


def test_version_and_label_cannot_be_combined() -> None:
    with pytest.raises(UsageError, match="cannot be combined"):
        ModelRef("m", version=1, label="a")
    for version in (-1, 2**63):
        with pytest.raises(UsageError, match=f"{version} is not a version"):
            ModelRef("m", version=version)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_invalid_timeout(seconds: float) -> None:
    with pytest.raises(UsageError, match="Expected a number of seconds above 0 for timeout="):
        RestClient("http://127.0.0.1:1", timeout=seconds)


def test_importing_the_module_does_not_import_requests() -> None:
    program = "import sys, tfserve.client.rest; sys.exit('requests' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
