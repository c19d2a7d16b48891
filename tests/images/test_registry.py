from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tfserve.errors import ImageError
from tfserve.images.registry import remote_tags
from tfserve.spec.image import ImageReference

Answer = tuple[int, dict[str, str], bytes]
LIST = "/v2/me/m/tags/list"


@contextmanager
def registry(answer: Callable[[str, str | None], Answer]) -> Iterator[ImageReference]:
    """A repository ``me/m`` on a loopback server; `answer` gets the path and the Authorization header."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path, self.headers["Authorization"])
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield ImageReference(f"127.0.0.1:{server.server_port}/me/m", None)
        server.shutdown()


def tags(*names: object, status: int = 200, **headers: str) -> Answer:
    return status, headers, json.dumps({"name": "me/m", "tags": names}).encode()


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def test_pagination() -> None:
    def answer(path: str, _: str | None) -> Answer:
        last = parse_qs(urlsplit(path).query).get("last")
        return tags("b") if last else tags("a", Link=f'<{LIST}?last=a&n=1>; rel="next"')

    with registry(answer) as repository:
        assert remote_tags(repository) == ["a", "b"]


def test_next_page_on_another_host_is_ignored() -> None:
    with registry(lambda path, _: tags("a", Link='<http://127.0.0.2:9/x>; rel="next"')) as repository:
        assert remote_tags(repository) == ["a"]


def test_endless_pagination() -> None:
    with registry(lambda path, _: tags("a", Link=f'<{LIST}>; rel="next"')) as repository:
        assert set(remote_tags(repository)) == {"a"}


def test_token() -> None:
    def answer(path: str, authorization: str | None) -> Answer:
        url = urlsplit(path)
        if url.path == "/token":
            query = parse_qs(url.query)
            assert query == {"service": ["reg"], "scope": ["repository:me/m:pull,push"]}
            return 200, {}, b'{"token": "t0ken"}'
        if authorization == "Bearer t0ken":
            return tags("1")
        realm = f"http://{repository.registry}/token"
        challenge = f'Bearer realm="{realm}",service="reg",scope="repository:me/m:pull,push"'
        return tags(status=401, **{"WWW-Authenticate": challenge})

    with registry(answer) as repository:
        assert remote_tags(repository) == ["1"]


def test_password_is_not_sent_unencrypted(docker_config: Path) -> None:
    seen = []

    def answer(path: str, authorization: str | None) -> Answer:
        seen.append((path, authorization))
        return tags(status=401, **{"WWW-Authenticate": 'Bearer realm="http://192.0.2.1/token"'})

    with registry(answer) as repository:
        auth = base64.b64encode(b"me:secret").decode()
        docker_config.write_text(json.dumps({"auths": {repository.registry: {"auth": auth}}}))
        with pytest.MonkeyPatch.context() as patch:
            # The request for a token goes to this server, too.
            patch.setenv("HTTP_PROXY", f"http://{repository.registry}")
            patch.setenv("NO_PROXY", "127.0.0.1")
            with pytest.raises(ImageError, match="denies this user access"):
                remote_tags(repository)
    assert ("http://192.0.2.1/token", None) in seen


def test_invalid_tags_are_ignored() -> None:
    with registry(lambda path, _: tags("1", "\x1b[2J", 3, None, "a b", "2-gpu")) as repository:
        assert remote_tags(repository) == ["1", "2-gpu"]


def test_empty_repository() -> None:
    with registry(lambda path, _: (200, {}, b'{"name": "me/m", "tags": null}')) as repository:
        assert remote_tags(repository) == []


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b"{}", "has no repository me/m"),
        (401, b"", "denies this user access to me/m"),
        (403, b"", "denies this user access to me/m"),
        (500, b"", "responded with 500 Internal Server Error"),
        (200, b"<html>", "is not a registry"),
        (200, b"[]", "is not a registry"),
        (200, b'{"tags": {}}', "is not a registry"),
    ],
)
def test_errors(status: int, body: bytes, words: str) -> None:
    with registry(lambda path, _: (status, {}, body)) as repository:
        with pytest.raises(ImageError, match=words) as caught:
            remote_tags(repository)
        assert caught.value.hint


def test_mirrors_come_first() -> None:
    hub = ImageReference("me/m", None)
    with registry(lambda path, _: tags("a")) as mirror, registry(lambda path, _: (404, {}, b"{}")) as without:
        assert remote_tags(hub, [f"http://{without.registry}", f"http://{mirror.registry}/"]) == ["a"]


def test_mirrors_are_only_for_docker_hub() -> None:
    with registry(lambda path, _: tags("a")) as mirror, registry(lambda path, _: tags("b")) as repository:
        assert remote_tags(repository, [f"http://{mirror.registry}"]) == ["b"]


def test_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfserve.images.registry._TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reference = ImageReference(f"127.0.0.1:{silent.getsockname()[1]}/me/m", None)
        with pytest.raises(ImageError, match="does not respond") as caught:
            remote_tags(reference)
    assert caught.value.details == "timeout after 0.2 s"


def test_hint_names_docker_hub_only_for_its_repositories() -> None:
    with registry(lambda path, _: (404, {}, b"{}")) as repository, pytest.raises(ImageError) as caught:
        remote_tags(repository)
    assert "hub.docker.com" not in str(caught.value.hint)


def test_connection_refused() -> None:
    with pytest.raises(ImageError, match=r"127\.0\.0\.1:9 does not respond") as caught:
        remote_tags(ImageReference("127.0.0.1:9/me/m", None))
    assert "refused" in str(caught.value.details)
    assert caught.value.doctor
