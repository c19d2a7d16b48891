"""Nothing in the current directory runs: it may belong to someone else. Modules and programs there leave a mark."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.free_ports import free_ports
from tests.nvidia.stub import Card
from tests.nvidia.stub import environment as nvml_environment
from tests.packing import model_files, tar_bytes
from tests.program import Program
from tfserve._version import __version__
from tfserve.cli.command_table import COMMANDS
from tfserve.host.programs import python_command

MARK = "import os, sys; open({mark!r}, 'a').write({name!r} + ' ' + repr(sys.argv) + chr(10)); sys.exit({name!r})"
PROGRAM = "#!/bin/sh\necho {name} >>{mark}\n"
PACKAGES = (
    *("numpy", "tensorflow", "yaml", "docker", "requests", "typer", "rich", "google", "grpc", "grpc_health", "orjson"),
    *("httptools", "uvloop", "platformdirs", "filelock", "pynvml", "sitecustomize", "usercustomize", "flatbuffers"),
    *("urllib3", "certifi", "click", "charset_normalizer", "idna", "keras", "google_crc32c", "ai_edge_litert"),
)
PROGRAMS = (
    *(
        "docker",
        "git",
        "ssh",
        "nvidia-ctk",
        "nvidia-container-runtime",
        "tensorflow_model_server",
        "python",
        "ldconfig",
    ),
    *("docker-credential-evil", "uname", "gcc", "ld", "less", "tfserve-model-server"),
)
CONFIG = """
defaults: {{engine: local}}
servers: {{a: {{rest_port: {0}, models: [{2}]}}, b: {{rest_port: {1}, models: [{2}]}}}}
"""
# As pip writes it. It runs isolated, because ``site`` would import sitecustomize before tfserve: PYTHONPATH is the
# choice of the user.
SCRIPT = """
import os, sys
sys.path[:0] = os.environ["PYTHONPATH"].split(":")
from tfserve.__main__ import main
sys.exit(main())
"""
INVOCATIONS: dict[str, tuple[tuple[str, ...], ...]] = {
    "demo": (("demo", "--engine", "local"),),
    "run": (("run", "{model}", "--dry-run"), ("run", "{model}", "--engine", "local", "--rest-port", "0")),
    "up": (("up", "--dry-run"), ("up",)),
    "predict": (("predict", "a", "1", "2"),),
    "classify": (("classify", "a", "x=1.0"),),
    "regress": (("regress", "a", "x=1.0", "--signature", "regress_x_to_y"),),
    "metadata": (("metadata", "a"),),
    "ps": (("ps",),),
    "status": (("status", "a"),),
    "models": (("models", "a"),),
    "logs": (("logs", "a", "--tail", "2"),),
    "stop": (("stop", "b"),),
    "start": (("start", "b"),),
    "restart": (("restart", "b"),),
    "rm": (("rm", "--force", "b"),),
    "init": (("init", "{model}", "-f", "-"),),
    "config": (("config",),),
    "schema": (("schema",),),
    "flags": (("flags", "batching"),),
    "inspect": (("inspect", "{model}"),),
    "cache": (("cache",),),
    "pull": (("pull",),),
    "images": (("images",),),
    "package": (("package", "{model}", "--image", "me/m:1"),),
    "devel": (("devel", "--source", "{model}"),),
    "build": (("build", "--source", "{model}", "--image", "me/s:1"),),
    "doctor": (("doctor",),),
    "help": (("help", "guide"), ("help", "run")),
    "down": (("down",),),
}
# These depend on one another: they start, use and remove the servers a and b.
LIFE = (
    *("up", "ps", "status", "predict", "classify", "regress", "metadata", "models", "logs"),
    *("stop", "start", "restart", "rm", "down"),
)


def test_every_command_has_an_invocation() -> None:
    assert INVOCATIONS.keys() == COMMANDS.keys()


@pytest.fixture
def hostile(tmp_path: Path, half_plus_two: Path) -> Path:
    """A directory in which every module and many programs leave a mark, beside a file of two servers."""
    directory = tmp_path / "hostile"
    directory.mkdir()
    modules = {*sys.stdlib_module_names, *PACKAGES} - {*sys.builtin_module_names, "__future__"}
    for name in modules:
        (directory / f"{name}.py").write_text(MARK.format(mark=str(tmp_path / "mark"), name=name))
    for name in PROGRAMS:
        (directory / name).write_text(PROGRAM.format(name=name, mark=tmp_path / "mark"))
        (directory / name).chmod(0o755)
    (directory / "tfserve.yaml").write_text(CONFIG.format(*free_ports(2), half_plus_two))
    return directory


def script_of(directory: Path) -> Path:
    """Writes the console script, as pip does, but with the entries of PYTHONPATH that ``site`` does not know."""
    script = directory / "bin" / "tfserve"
    script.parent.mkdir()
    script.write_text(SCRIPT)
    return script


def test_no_command_runs_what_is_in_the_current_directory(
    hostile: Path, tfserve: Program, nvml: Path, half_plus_two: Path, tmp_path: Path
) -> None:
    script = script_of(tmp_path)
    config = tfserve.home / ".docker" / "config.json"
    config.parent.mkdir()
    config.write_text('{"credsStore": "evil"}')
    here = {
        **tfserve.environment,
        **nvml_environment(nvml, Card()),
        "PATH": f":.:{os.environ['PATH']}",
        "PYTHONPATH": f":.:{Path(__file__).parents[2]}",
    }

    def run(words: tuple[str, ...]) -> str:
        arguments = [word.format(model=half_plus_two) for word in words]
        done = subprocess.run(
            [sys.executable, "-I", script, *arguments],
            cwd=hostile,
            env=here,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert not (tmp_path / "mark").exists(), (words, (tmp_path / "mark").read_text())
        return done.stderr

    with ThreadPoolExecutor(2) as pool:
        others = [words for name in COMMANDS if name not in LIFE for words in INVOCATIONS[name]]
        life = pool.submit(lambda: [run(words) for name in LIFE for words in INVOCATIONS[name]])
        for words in others:
            run(words)
        assert [error for error in life.result() if "Error" in error] == []


@pytest.mark.parametrize(
    ("module", "arguments"), [("tfserve", ["inspect", "{model}", "--json"]), ("tfserve.model_server", ["--version"])]
)
def test_python_m_leaves_the_current_directory(
    module: str, arguments: list[str], hostile: Path, tfserve: Program, half_plus_two: Path
) -> None:
    """Python itself imports runpy from there, and what that imports; these are not in this directory."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import runpy, sys; print(*sys.modules)"], capture_output=True, text=True
    )
    for name in loaded.stdout.split():
        (hostile / f"{name}.py").unlink(missing_ok=True)
    assert (hostile / "json.py").exists()
    done = subprocess.run(
        [sys.executable, "-m", module, *(argument.format(model=half_plus_two) for argument in arguments)],
        cwd=hostile,
        env={**tfserve.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not (hostile.parent / "mark").exists(), (hostile.parent / "mark").read_text()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/no/such:", "/no/such"),
        (":", ""),
        (".", ""),
        ("/a;;/b;$ORIGIN/lib", "/a:/b:$ORIGIN/lib"),
        ("lib:/a", "/a"),
        ("/a:/b", None),
        ("", None),
    ],
)
def test_no_library_is_loaded_from_the_current_directory(
    given: str, kept: str | None, tfserve: Program, tmp_path: Path
) -> None:
    """The loader has read its variable already, so the program starts again; once, and with the same arguments."""
    for name in ("libz.so.1", "libffi.so.8", "libssl.so.3", "libbz2.so.1.0", "liblzma.so.5"):
        (tmp_path / name).write_text("not a library, so that loading it is an error")
    shown = "import os; print('start', repr(os.environ['LD_LIBRARY_PATH']), flush=True)"
    code = f"{shown}; from tfserve.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        cwd=tmp_path,
        env={**tfserve.environment, "PYTHONPATH": str(Path(__file__).parents[2]), "LD_LIBRARY_PATH": given},
        capture_output=True,
        text=True,
    )
    *starts, version = done.stdout.splitlines()
    assert (done.returncode, version) == (0, f"tfserve {__version__}"), done.stderr
    assert starts == [f"start {path!r}" for path in (given, kept) if path is not None]


def test_an_archive_is_read_with_the_libraries_of_the_system(
    tfserve: Program, half_plus_two: Path, tmp_path: Path
) -> None:
    (tmp_path / "libz.so.1").write_text("not a library, so that loading it is an error")
    (tmp_path / "m.tar.gz").write_bytes(tar_bytes(model_files(half_plus_two)))
    done = subprocess.run(
        [sys.executable, "-m", "tfserve", "inspect", "m.tar.gz", "--json"],
        cwd=tmp_path,
        env={**tfserve.environment, "PYTHONPATH": str(Path(__file__).parents[2]), "LD_LIBRARY_PATH": "/no/such:"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", ["3.10", "3.11"])
def test_python_without_its_working_directory(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"there is no Python {version}")
    monkeypatch.setattr(sys, "version_info", tuple(map(int, version.split("."))))
    monkeypatch.setattr(sys, "executable", python)
    (tmp_path / "json").mkdir()
    for name in ("__init__", "tool"):
        (tmp_path / "json" / f"{name}.py").write_text("print('hostile')")
    (tmp_path / "runpy.py").write_text("print('hostile')")
    command = [*python_command("json.tool"), "--compact"]
    done = subprocess.run(command, cwd=tmp_path, input="[1, 2]", capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[1,2]\n", "")
