from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.cli.conftest import in_process
from tests.program import Program, eventually
from tfserve.engines.docker.client import UnexpectedAnswerError, connect, docker_errors
from tfserve.engines.docker.config import find_registry_credentials
from tfserve.engines.docker.files import names_in, read_text
from tfserve.errors import EngineUnavailableError, TfserveError
from tfserve.host.deadline import Speed, TooMuchError
from tfserve.plan import labels
from tfserve.plan.spec_label import flag_files_from_label, spec_from_label

from .hostile_engine import CONTAINER, INFO, Answer, Answers, container, engine, http, image

Run = Callable[..., CompletedProcess[str]]

NESTED = "[" * 3000 + "]" * 3000
DAMAGED: list[Any] = [
    *(
        NESTED,
        "[" * 3000,
        '{"a":' * 3000 + "0" + "}" * 3000,
        '{"models": ' + NESTED + "}",
        "x",
        "{",
        "[]",
        "1",
        '"text"',
    ),
    *('{"remove": ' + "9" * 5000 + "}", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1, "a": 2}', '{"models": 5}'),
    *('{"models": [5]}', '{"models": {"a": 1}}', "\ud800", "\x1b[2J", '{"a": "' + "x" * 2**21 + '"}', "null"),
    *(5, None, ["a"], {"a": 1}, True),
]


@pytest.fixture
def run(tmp_path: Path, tfserve: Program, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command in this process with an engine that gives these answers, and checks what it prints."""
    monkeypatch.setenv("XDG_STATE_HOME", tfserve.environment["XDG_STATE_HOME"])
    monkeypatch.setenv("HOME", tfserve.environment["HOME"])

    def run_with(answers: Answers, *arguments: str) -> CompletedProcess[str]:
        connect.cache_clear()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with engine(tmp_path, answers) as address:
            monkeypatch.setenv("DOCKER_HOST", address)
            program = Program(tfserve.home)
            environment = {**program.environment, "DOCKER_HOST": address}
            done = _in_process(environment, *arguments)
        (tmp_path / "engine.sock").unlink()
        connect.cache_clear()
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 600 << 10
        assert "Unexpected" not in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert all(line.isprintable() for line in (done.stdout + done.stderr).replace("\t", "").split("\n"))
        return done

    yield run_with
    connect.cache_clear()


def _in_process(environment: dict[str, str], *arguments: str) -> CompletedProcess[str]:
    class Given(Program):
        @property
        def environment(self) -> dict[str, str]:
            return environment

    return in_process(Given(Path(environment["HOME"])), *arguments)


@pytest.mark.parametrize(
    ("kind", "label"),
    [*(("spec", label) for label in DAMAGED), *(("models", label) for label in (NESTED, "{", "[5]", '"a"', 5))],
    ids=lambda value: ascii(value)[:12],
)
def test_damaged_labels_of_a_container(kind: str, label: Any, run: Run) -> None:
    damaged = {**container("evil"), "Id": "d" * 64}
    damaged["Labels"][f"tfserve.{kind}"] = label
    answers: Answers = {"/containers/json": [damaged, container("web")]}
    done = run(answers, "ps")
    assert done.returncode == 0
    assert "web" in done.stdout
    assert "evil" not in done.stdout
    assert done.stderr.count("The container tfserve-evil is not a server that tfserve can read") == 1
    if label != NESTED:
        return
    done = run(answers, "status", "web", "--json")
    assert json.loads(done.stdout)["name"] == "web"
    done = run(answers, "status", "evil")
    assert done.returncode == 10
    assert "tfserve-evil is not a server" in done.stderr
    assert "to remove it: docker rm --force tfserve-evil\n" in done.stderr


def test_damaged_container_that_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfserve.engines.docker.engine import DockerEngine

    connect.cache_clear()
    with engine(tmp_path, {"/containers/json": [container("evil", config=5)]}) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        with pytest.raises(TfserveError, match="tfserve-evil is not a server") as caught:
            DockerEngine(connect()).find("evil")
    connect.cache_clear()
    assert "skipped" not in str(caught.value.hint)
    assert str(caught.value.hint).endswith("docker rm --force tfserve-evil")


PORTS: list[Any] = [5, [5], [{}], [{"PrivatePort": 8501, "PublicPort": "x"}], [{"PrivatePort": 8501, "PublicPort": -1}]]
ENTRIES: list[Any] = [
    *(None, 5, "text", [], {}, {"Labels": None}, {"Labels": {"tfserve.name": "evil"}}),
    *({**container("evil"), "Names": names} for names in (None, [], 5, [5], {"a": 1})),
    *(
        {**container("evil"), "Created": created}
        for created in ("x", 10**30, None, -(10**30), -(10**18), 10**18, 1e308, True)
    ),
    *({**container("evil"), "Ports": ports} for ports in PORTS),
    *({**container("evil"), "Mounts": mounts} for mounts in (5, [5], [{"Source": 5}])),
    *({**container("evil"), "State": 5}, {**container("evil"), "Image": None}, {**container("evil"), "Id": 5}),
    *(container(name) for name in ("", "a b", "a\nHint: x", "\x1b[2J", "-x", "x" * 5000, "\ud800")),
    container("evil", config=5),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: ascii(entry)[:20])
def test_damaged_entries_of_the_list(entry: Answer, run: Run) -> None:
    done = run({"/containers/json": [entry, container("web")]}, "ps")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("web ")
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr.count("is not a server that tfserve can read") == 1
    assert done.stderr.count("It was skipped") == 1
    assert len(re.findall(r"docker rm --force [\w.-]+\n|see: docker ps --all\n", done.stderr)) == 1


@pytest.mark.parametrize("state", [None, {}, {"State": None}, {"State": {"ExitCode": "x", "OOMKilled": 0}}, [], "x"])
def test_damaged_state_of_a_container(state: Answer, run: Run) -> None:
    done = run({"/containers/json": [container("web")], f"/containers/{CONTAINER}/json": state}, "ps")
    assert done.returncode == 0
    assert "The container tfserve-web is not a server" in done.stderr


@pytest.mark.parametrize("label", [*DAMAGED, '{"m": 1}', '{"m": {"versions": ["1"], "digest": "x"}}'], ids=ascii)
def test_damaged_label_of_an_image(label: Any, run: Run) -> None:
    answers: Answers = {
        "/images/json": [{"RepoTags": ["evil:1", "good:1"], "Created": 1_700_000_000}],
        "/images/evil:1/json": image(**{labels.PACKAGED: label}),
        "/images/good:1/json": image(),
    }
    done = run(answers, "images")
    assert done.returncode == 0
    assert "good" in done.stdout
    assert "evil" not in done.stdout
    assert done.stderr.count("The image evil:1 was skipped") == 1
    if label == NESTED:
        done = run(answers, "run", "--image", "evil", "--tag", "1", "--engine", "docker", "--pull", "never")
        assert done.returncode in (4, 5)
        assert "Error: " in done.stderr


@pytest.mark.parametrize(
    "entry",
    [
        None,
        5,
        {},
        {"RepoTags": 5},
        {"RepoTags": [5]},
        {"RepoTags": ["good:1"], "Created": "x"},
        {"RepoTags": ["good:1"], "Created": -(10**18)},
        [],
        "x",
    ],
)
def test_damaged_entries_of_the_images(entry: Answer, run: Run) -> None:
    usual = {"RepoTags": ["good:2"], "Created": 1_700_000_000}
    answers: Answers = {"/images/json": [entry, usual], "/images/good:1/json": image(), "/images/good:2/json": image()}
    done = run(answers, "images")
    assert done.returncode in (0, 4)


def trickle(start: bytes, data: bytes = b" ") -> Answer:
    def send(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.wait(0.02):
            connection.sendall(data)

    return send


def flood(start: bytes, data: bytes = b"[" * 2**16) -> Answer:
    def send(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.is_set():
            connection.sendall(data)

    return send


def packed(text: bytes) -> bytes:
    import gzip

    return gzip.compress(text)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
NONSENSE: dict[str, Answer] = {
    **{f"JSON {text[:8]!r}": http(text) for text in (b"null", b"5", b'"x"', b"[[]]", b"[5]", b'{"a": 1}', b"", b"{")},
    "HTML": http(b"<html>It works!</html>", head="Content-Type: text/html\r\n"),
    "nested": http(b"[" * 100_000 + b"]" * 100_000),
    "digits": http(b"[" + b"9" * 5000 + b"]"),
    "many lists": http(b"[" + b"[]," * 10_000_000 + b"[]]"),
    "packed": http(packed(b"[" + b"[]," * 1_000_000 + b"[]]"), head="Content-Encoding: gzip\r\n"),
    "truncated": OK + b"Content-Length: 1000\r\n\r\n[",
    "not HTTP": b"hello\r\n\r\n",
    "endless body": flood(OK + b"\r\n["),
    "endless chunk": flood(CHUNKED + b"fffffff\r\n["),
    "endless size of a chunk": flood(CHUNKED, b"0" * 2**16),
    "wrong size of a chunk": CHUNKED + b"xyz\r\n",
    "endless header": flood(OK + b"X: "),
    "endless headers": flood(OK, b"X: y\r\n" * 1000),
    "endless status": flood(b"HTTP/1.1 "),
    "endless 100": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "redirect": http(b"", status="302 Found", head="Location: http://127.0.0.1:1/\r\n"),
    "error": http(b"[" * 100_000, status="500 Internal Server Error"),
    "endless error": flood(b"HTTP/1.1 500 Error\r\n\r\n"),
    "error without a message": http(b'{"a": 1}', status="500 Error"),
    "error with another message": http(b'{"message": {"a": [1]}}', status="404 Not Found"),
    "forged error": http(json.dumps({"message": "x\nHint: rm\x1b[2J"}).encode(), status="500 Error"),
}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        *(("/containers/json", answer) for answer in NONSENSE),
        *((path, answer) for path in ("/info", "/images/json") for answer in NONSENSE if answer[:7] != "endless"),
        *(("/_ping", answer) for answer in ("endless body", "endless 100", "HTML", "forged error", "redirect")),
    ],
)
def test_nonsense(path: str, answer: str, run: Run) -> None:
    commands = {
        "/containers/json": ("ps", "--engine", "docker"),
        "/info": ("run", "--image", "x", "--engine", "docker"),
        "/images/json": ("images",),
        "/_ping": ("ps", "--engine", "docker"),
    }
    done = run({path: NONSENSE[answer]}, *commands[path])
    assert done.returncode in (0, 1, 4, 5, 10), done.stderr
    if done.returncode:
        assert sum(line.startswith("Error: ") for line in done.stderr.splitlines()) == 1
        assert len(done.stderr) < 10_000


def test_nonsense_for_doctor(run: Run) -> None:
    for answer in ("nested", "JSON b'[5]'", "HTML"):
        for path in ("/info", "/images/json"):
            done = run({path: NONSENSE[answer]}, "doctor")
            assert done.returncode in (0, 1, 4)


SLOW = {
    "head": trickle(b"HTTP/1.1 200 OK\r\nX: "),
    "body": trickle(OK + b"Content-Length: 100000\r\n\r\n"),
    "size of a chunk": trickle(CHUNKED + b"1;"),
}


@pytest.mark.parametrize("answer", SLOW)
def test_drip(answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect.cache_clear()
    with engine(tmp_path, {"/info": SLOW[answer]}) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        client = connect()
        client.timeout = 0.1
        with pytest.raises(Exception, match="stopped answering") as caught, docker_errors():
            client.info()
        assert "in time" in str(getattr(caught.value, "details", ""))
    connect.cache_clear()


@pytest.mark.parametrize("stream", ["archive", "logs"])
def test_stream_that_is_silent(stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that reads a file or a log to its end does not wait forever."""
    connect.cache_clear()
    answers: Answers = {
        f"/containers/x/{stream}": trickle(OK + b"\r\n", b""),
        "/containers/x/json": {"Config": {"Tty": False}},
    }
    with engine(tmp_path, answers) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        client = connect()
        client.timeout = 0.1
        if stream == "logs":  # the SDK ends a log without an error
            assert list(client.logs("x", stream=True, follow=False)) == []
        else:
            with pytest.raises(EngineUnavailableError, match="stopped answering"):
                read_text(client, "x", "/models.config")
    connect.cache_clear()


def test_more_lines_than_wanted(client: Any) -> None:
    from tfserve.engines.docker.engine import DockerEngine
    from tfserve.engines.docker.server import DockerServer
    from tfserve.engines.docker.translate import server_fields

    server = DockerServer(engine=DockerEngine(client), **{**server_fields(container()), "container_id": "frame"})
    assert len(list(server.logs(tail=3))) == 3


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an engine whose archives, logs and pulls have no end."""
    connect.cache_clear()
    line = b"x" * 2**16
    streams = {
        "/containers/archive/archive": flood(OK + b"\r\n", tarfile.TarInfo("m/1").tobuf() * 100),
        "/containers/lines/archive": http(b""),
        "/containers/frame/json": {"Config": {"Tty": False}},
        "/containers/frame/logs": flood(OK + b"\r\n\1\0\0\0\xff\xff\xff\xff", line),
        "/containers/tty/json": {"Config": {"Tty": True}},
        "/containers/tty/logs": flood(CHUNKED + b"ffffffff\r\n", line),
        "/images/create": flood(CHUNKED + b"ffffffff\r\n" + b'{"status": "', line),
    }
    with engine(tmp_path, streams) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        yield connect()
    connect.cache_clear()


@pytest.mark.parametrize("name", ["frame", "tty"])
def test_endless_line_of_a_log(name: str, client: Any) -> None:
    from tfserve.engines.docker.engine import DockerEngine
    from tfserve.engines.docker.server import DockerServer
    from tfserve.engines.docker.translate import server_fields

    server = DockerServer(engine=DockerEngine(client), **{**server_fields(container()), "container_id": name})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = server.logs(follow=True)
    assert all(len(next(lines)) < 2**21 for _ in range(20))
    lines.close()  # type: ignore[attr-defined]
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 100 << 10


def test_endless_archives_and_events(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFSERVE_ARCHIVE_MAX_ENTRIES", "1000")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnexpectedAnswerError):
        read_text(client, "archive", "/models.config")
    with pytest.raises(UnexpectedAnswerError):
        names_in(client, "archive", "/models/m")
    with pytest.raises(UnexpectedAnswerError, match="does not understand"), docker_errors():
        list(client.pull("x", stream=True, decode=True))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 100 << 10


def large_file() -> bytes:
    """The header of a file of 1 TiB in an archive."""
    entry = tarfile.TarInfo("m/1/variables")
    entry.size = 2**40
    return entry.tobuf()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("read", [read_text, names_in])
def test_archive_that_does_not_end(
    read: Callable[[Any, str, str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine could send one file forever, quickly or slowly."""
    monkeypatch.setenv("TFSERVE_ARCHIVE_MAX_GIB", "0.01")
    monkeypatch.setattr("tfserve.engines.docker.files._TEXT_SPEED", Speed(window=0.1, least=1000))
    monkeypatch.setattr("tfserve.engines.docker.files._DIRECTORY_SPEED", Speed(window=0.1, least=1000))
    connect.cache_clear()
    answers: Answers = {
        "/containers/quick/archive": flood(OK + b"\r\n" + large_file(), b"\0" * 2**16),
        "/containers/slow/archive": trickle(OK + b"\r\n" + large_file(), b"\0"),
    }
    with engine(tmp_path, answers) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        client = connect()
        with pytest.raises(UnexpectedAnswerError) as caught:
            read(client, "quick", "/models/m")
        assert "is larger than" in str(caught.value.details)
        with pytest.raises(EngineUnavailableError, match="stopped answering"):
            read(client, "slow", "/models/m")
    connect.cache_clear()


def test_connection_that_is_not_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK reaches an engine over SSH through the pipes of a process."""
    from tfserve.engines.docker import session

    class Pipe:
        def __init__(self, content: bytes) -> None:
            self.content = content

        def makefile(self, mode: str) -> io.BufferedReader:
            return io.BufferedReader(io.BytesIO(self.content))

    session._request.stream, session._request.timeout = False, 1.0
    response = session._response(Pipe(OK + b"Content-Length: 2\r\n\r\n[]"))
    response.begin()
    assert response.read() == b"[]"
    monkeypatch.setattr(session, "_MAX_ANSWER_BYTES", 10_000)
    response = session._response(Pipe(OK + b"\r\n" + b"[" * 100_000))
    response.begin()
    with pytest.raises(TooMuchError):
        response.read()


def test_events() -> None:
    from tfserve.client.json_document import read_json_stream

    assert list(read_json_stream([b'{"a"', b': 1}\r\n{"b": 2}{"c": 3}\n', b"\n4"], 100)) == [
        {"a": 1},
        {"b": 2},
        {"c": 3},
        4,
    ]
    for wrong in (b"x\n", b"[" * 100_000 + b"\n", b"{"):
        with pytest.raises(ValueError, match=r"."):
            list(read_json_stream([wrong], 10**6))
    assert list(read_json_stream([b"9" * 5000], 10**6)) == [float("inf")]


@pytest.mark.parametrize("label", [label for label in DAMAGED if isinstance(label, str)], ids=ascii)
def test_readers_of_a_spec(label: str) -> None:
    assert spec_from_label(label) is None
    assert flag_files_from_label(label) == {}
    assert labels.removed_at_stop(label) is False


MODEL = {"name": "m", "path": "/x"}
WRONG_TYPES: list[tuple[str, Any]] = [
    *(("server_flags", [1]), ("server_flags", 5), ("environment", [1]), ("environment", {"a": 1}), ("image", 5)),
    *(
        ("rest_port", {"number": "x", "explicit": 1}),
        ("rest_port", 5),
        ("remove", "x"),
        ("batching", 5),
        ("cpus", True),
    ),
    *(("models", [{**MODEL, "name": 5}]), ("models", [{**MODEL, "labels": {"a": "b"}}]), ("models", [{}])),
    *(("models", [{**MODEL, "path": "/x\0"}]), ("models", [{**MODEL, "versions": {"latest": "x", "specific": []}}])),
    *(("gpus", {"count": "x", "devices": [5]}), ("memory", 1.5), ("config", 5), ("monitoring", []), ("name", "\ud800")),
]


@pytest.mark.parametrize(("field", "value"), WRONG_TYPES, ids=str)
def test_fields_of_a_spec_with_another_type(field: str, value: Any, run: Run) -> None:
    spec = {"name": "web", "models": [MODEL]}
    assert spec_from_label(json.dumps(spec)) is not None
    label = json.dumps({**spec, field: value})
    assert spec_from_label(label) is None
    answers: Answers = {"/containers/json": [container("web", spec=label)]}
    for command in (("models", "web"), ("status", "web")):
        assert run(answers, *command).returncode in (0, 1, 2, 10)


def test_labels_that_are_written() -> None:
    written = labels.with_model('{"name": "web", "remove": true}', "m", Path("/m"))
    assert labels.removed_at_stop(written)
    assert labels.read_label(written)["models"] == [{"name": "m", "path": "/m"}]
    for damaged in ("[" * 3000, '{"models": 5}'):
        with pytest.raises(labels.DamagedLabelError):
            labels.with_model(damaged, "m", Path("/m"))


HELPERS = {
    "endless": "yes",
    "nested": "head -c 100000 /dev/zero | tr '\\0' '['",
    "other": "echo 5",
    "hanging": "sleep 100",
    "error": "echo 'x\nHint: forged'; exit 1",
}


@pytest.mark.parametrize("helper", HELPERS)
def test_credential_helpers(helper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-evil"
    program.write_text(f"#!/bin/sh\n{HELPERS[helper]}\n")
    program.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "evil"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("tfserve.engines.docker.credential_helper.SECONDS", 0.2)
    found = find_registry_credentials("registry.example")
    assert found.sent == {}
    assert "provides no credentials" in found.failure


@pytest.fixture
def own_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential helper that is the shell script in this file, and reports in ``report`` beside it."""
    program = tmp_path / "docker-credential-own"
    program.touch(0o755)
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "own"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return program


def test_credential_helper_does_not_see_the_current_directory(
    own_helper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_helper.write_text(f'#!/bin/sh\n(pwd; echo "$PATH") >{tmp_path}/report\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}:")
    find_registry_credentials("registry.example")
    directory, path = (tmp_path / "report").read_text().splitlines()
    assert directory == "/"
    assert all(map(os.path.isabs, path.split(":")))


def test_credential_helper_ends_with_the_command(own_helper: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    own_helper.write_text(f"#!/bin/sh\necho $$ >{report}.new\nmv {report}.new {report}\nexec sleep 60\n")

    def interrupt() -> None:
        eventually(report.exists)
        os.kill(os.getpid(), signal.SIGINT)

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        pool.submit(interrupt)
        find_registry_credentials("registry.example")
    assert not Path(f"/proc/{int(report.read_text())}").exists()


def test_facts_of_another_type(run: Run) -> None:
    for field, value in (("SecurityOptions", [5]), ("Runtimes", 5), ("DiscoveredDevices", [5]), ("RegistryConfig", [])):
        done = run({"/info": {**INFO, field: value}}, "run", "--image", "x", "--engine", "docker", "--pull", "never")
        assert done.returncode in (4, 5)
