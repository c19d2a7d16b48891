from __future__ import annotations

import os
import signal
import struct
import sys
from pathlib import Path

import pytest

from tests.program import eventually
from tfserve.doctor.facts import LocalRuntime
from tfserve.doctor.local_probe import LocalLook

SAYS_ITS_VERSION = "echo TensorFlow ModelServer: 2.19.1-rc0; echo TensorFlow Library: 2.19.1"
HANGS = 'echo $$ > "$0.pid"; exec sleep 60'


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a ``tensorflow_model_server`` comes first on PATH."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    return tmp_path / "tensorflow_model_server"


def write(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_the_version_of_the_official_server(official: Path) -> None:
    write(official, SAYS_ITS_VERSION)
    assert LocalLook(20.0).runtime() == LocalRuntime(f"TensorFlow ModelServer 2.19.1-rc0, {official}")


def test_one_that_says_no_version(official: Path) -> None:
    write(official, "echo hello")
    assert LocalLook(20.0).runtime() == LocalRuntime(str(official))


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("kill -ILL $$", signal.strsignal(signal.SIGILL)),
        ("echo libcudart.so.12: cannot open shared object file >&2; echo; exit 127", "libcudart.so.12: cannot open"),
        ("exit 3", "code 3"),
    ],
)
def test_one_that_does_not_run(script: str, why: str, official: Path) -> None:
    write(official, script)
    found = LocalLook(20.0).runtime()
    assert found.found is None
    assert found.broken.startswith(f"{official} does not run here: {why}")


def test_one_for_another_cpu(official: Path) -> None:
    foreign = bytearray(Path(sys.executable).read_bytes())
    struct.pack_into("<H", foreign, 18, 0)  # e_machine, of the ELF specification: that of none
    official.write_bytes(foreign)
    official.chmod(0o755)
    assert LocalLook(20.0).runtime() == LocalRuntime(None, broken=f"{official} does not run here: Exec format error.")


def test_one_that_hangs_is_ended(official: Path) -> None:
    write(official, HANGS)
    look = LocalLook(0.5)
    pid_file = official.with_name(f"{official.name}.pid")
    eventually(lambda: pid_file.exists() and pid_file.read_text().strip())
    assert look.runtime().broken == f"{official} does not run here: it does not say its version."
    eventually(lambda: not Path(f"/proc/{int(pid_file.read_text())}").exists())


def test_tensorflow_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    found = LocalLook(20.0).runtime().found
    assert found is not None
    assert found.startswith("TensorFlow 2.")
