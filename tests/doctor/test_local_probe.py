from __future__ import annotations

import os
import signal
import struct
import sys
from pathlib import Path

import pytest

from tests.program import eventually
from tfserve.doctor.facts import LocalRuntime
from tfserve.doctor.local_probe import LocalProbe

VERSION = "echo TensorFlow ModelServer: 2.19.1-rc0; echo TensorFlow Library: 2.19.1"
HANGS = 'echo $$ > "$0.pid"; exec sleep 60'


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a ``tensorflow_model_server`` that is first on PATH."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    return tmp_path / "tensorflow_model_server"


def write(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_version_of_the_official_server(official: Path) -> None:
    write(official, VERSION)
    assert LocalProbe(20.0).runtime() == LocalRuntime(f"TensorFlow ModelServer 2.19.1-rc0, {official}")


def test_unknown_version(official: Path) -> None:
    write(official, "echo hello")
    assert LocalProbe(20.0).runtime() == LocalRuntime(str(official))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -ILL $$", signal.strsignal(signal.SIGILL)),
        ("echo libcudart.so.12: cannot open shared object file >&2; echo; exit 127", "libcudart.so.12: cannot open"),
        ("exit 3", "code 3"),
    ],
)
def test_program_that_fails(script: str, reason: str, official: Path) -> None:
    write(official, script)
    found = LocalProbe(20.0).runtime()
    assert found.found is None
    assert found.broken.startswith(f"{official} does not run: {reason}")


def test_program_for_another_cpu(official: Path) -> None:
    foreign = bytearray(Path(sys.executable).read_bytes())
    struct.pack_into("<H", foreign, 18, 0)  # e_machine in the ELF specification: EM_NONE
    official.write_bytes(foreign)
    official.chmod(0o755)
    assert LocalProbe(20.0).runtime() == LocalRuntime(None, broken=f"{official} does not run: Exec format error.")


def test_program_that_hangs_is_killed(official: Path) -> None:
    write(official, HANGS)
    probe = LocalProbe(0.5)
    pid_file = official.with_name(f"{official.name}.pid")
    eventually(lambda: pid_file.exists() and pid_file.read_text().strip())
    assert probe.runtime().broken == f"{official} does not run: --version does not end."
    eventually(lambda: not Path(f"/proc/{int(pid_file.read_text())}").exists())


def test_tensorflow_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    found = LocalProbe(20.0).runtime().found
    assert found is not None
    assert found.startswith("TensorFlow 2.")
