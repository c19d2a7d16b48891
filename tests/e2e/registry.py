"""A registry on loopback, and the part of its HTTP API that is needed to push images.

Layers are streamed into the registry while they are made, as uncompressed tars, without an image builder or temporary
files. The engine's own store stays empty, so that the first `docker pull` transfers every layer. The API is that of the
OCI distribution specification; the media types are those of Docker's image manifest, version 2, schema 2.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import socket
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .background import Background
from .problem import EngineUnavailableError

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"

_CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {store}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
_USERS = """\
auth:
  htpasswd: {{realm: tests, path: {users}}}
"""


@dataclass(frozen=True)
class Registry:
    """The registry that listens on `127.0.0.1:port`."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        try:
            status, headers, _ = self.request("GET", "/v2/")
        except (OSError, http.client.HTTPException):
            return False
        return status in (200, 401) and headers.get("Docker-Distribution-Api-Version") == "registry/2.0"

    def manifest(self, repository: str, tag: str) -> dict[str, Any] | None:
        status, _, body = self.request("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST})
        return dict(json.loads(body)) if status == 200 else None

    def blob(self, repository: str, digest: str) -> bytes:
        status, _, body = self.request("GET", f"/v2/{repository}/blobs/{digest}")
        return body if status == 200 else b"{}"

    def has_blob(self, repository: str, digest: str) -> bool:
        return self.request("HEAD", f"/v2/{repository}/blobs/{digest}")[0] == 200

    def put_manifest(self, repository: str, tag: str, manifest: dict[str, Any]) -> None:
        body = json.dumps(manifest).encode()
        self._expect(201, "PUT", f"/v2/{repository}/manifests/{tag}", body, {"Content-Type": MANIFEST})

    def put_blob(self, repository: str, content: bytes) -> tuple[str, int]:
        with Upload(self, repository) as upload:
            upload.write(content)
        return upload.digest, upload.size

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def start_upload(self, repository: str) -> str:
        return _path(self._expect(202, "POST", f"/v2/{repository}/blobs/uploads/", b""))

    def finish_upload(self, path: str, digest: str) -> None:
        separator = "&" if "?" in path else "?"
        self._expect(201, "PUT", f"{path}{separator}digest={urllib.parse.quote(digest)}", b"")

    def _expect(
        self, wanted: int, method: str, path: str, body: bytes, headers: dict[str, str] | None = None
    ) -> http.client.HTTPMessage:
        status, answer, text = self.request(method, path, body, headers)
        if status != wanted:
            raise EngineUnavailableError(f"the registry answered {status} to {method} {path}: {text[:200]!r}")
        return answer


class Upload(io.RawIOBase):
    """A file that uploads one blob: each write is a chunk of one request, and part of the hash."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self.size = 0
        self._registry = registry
        self._hash = hashlib.sha256()
        self._connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=60)
        self._connection.putrequest("PATCH", registry.start_upload(repository))
        self._connection.putheader("Content-Type", "application/octet-stream")
        self._connection.putheader("Transfer-Encoding", "chunked")
        self._connection.endheaders()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        chunk = memoryview(data)
        if chunk.nbytes:
            self._hash.update(chunk)
            self._connection.send(b"%x\r\n" % chunk.nbytes)
            self._connection.send(chunk)
            self._connection.send(b"\r\n")
            self.size += chunk.nbytes
        return chunk.nbytes

    def finish(self) -> None:
        self._connection.send(b"0\r\n\r\n")
        response = self._connection.getresponse()
        response.read()
        if response.status != 202:
            raise EngineUnavailableError(f"the registry answered {response.status} to a layer")
        self._registry.finish_upload(_path(response.headers), self.digest)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self._connection.close()
            self.close()


def serve(state: Path, *, users: Path | None = None) -> Registry:
    """Returns the registry of this state directory, and starts it if necessary, if possible on the port it had before.

    With `users`, a file of ``name:bcrypt hash``, it requires a login.
    """
    config = state / "registry.yml"
    program = Background("docker-registry", state, mark=str(config))
    last = _port_of(config)
    if last is not None and program.pid() is not None and Registry(last).answers():
        return Registry(last)
    program.stop(5)
    port = next(port for port in (last or 5000, *range(5000, 5100)) if _is_free(port))
    auth = _USERS.format(users=users) if users is not None else ""
    config.write_text(_CONFIG.format(store=state / "registry", port=port) + auth)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "OTEL_"))}
    program.start(["docker-registry", "serve", str(config)], {**env, "OTEL_TRACES_EXPORTER": "none"})
    program.wait_until(Registry(port).answers, 20)
    return Registry(port)


def stop(state: Path) -> bool:
    return Background("docker-registry", state, mark=str(state / "registry.yml")).stop(5)


def _port_of(config: Path) -> int | None:
    if not config.exists():
        return None
    return int(config.read_text().rpartition("127.0.0.1:")[2].split('"')[0])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _path(headers: http.client.HTTPMessage) -> str:
    location = urllib.parse.urlsplit(headers["Location"])
    return location.path + (f"?{location.query}" if location.query else "")
