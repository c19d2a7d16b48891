"""The layers of the stand-in image: Debian, Python packages, TensorFlow's runtime, and the model server.

A layer is identified by a key that depends on everything it is made from, and is only made if the registry does not
have it. After a change of the model server's sources, only its own small layer is made again.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from . import debian
from .problem import EngineUnavailableError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
HOME = "usr/lib/tensorflow_model_server"  # the directory of Python packages in the image

_DEBIAN_PACKAGES = ["ca-certificates", "python3", "libstdc++6"]
_RUNTIME_FILES = ["libtensorflow_framework.so.2", "libtensorflow_cc.so.2"]

# As in the official image: the shell is not replaced by the server, and the variables are not quoted.
_ENTRYPOINT = """\
#!/bin/bash

tensorflow_model_server --port=8500 --rest_api_port=8501 \\
  --model_name=${MODEL_NAME} --model_base_path=${MODEL_BASE_PATH}/${MODEL_NAME} "$@"
"""
_PROGRAM = f"""\
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/{HOME}")
from tfserve.model_server.main import main

sys.exit(main())
"""


@dataclass(frozen=True)
class Recipe:
    """How a layer is made: `write` writes its tar; `inputs` contains everything that its content depends on."""

    name: str
    inputs: str
    write: Callable[[IO[bytes] | io.RawIOBase], None]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.inputs.encode()).hexdigest()

    @property
    def key(self) -> str:
        return f"{self.name} {self.digest[:16]}"


@functools.cache
def recipes() -> list[Recipe]:
    """All layers from the bottom up. The inputs of the top one include the keys of the others."""
    lower = [
        Recipe("debian", repr(debian.bootstrap_command(_DEBIAN_PACKAGES)), _write_debian),
        Recipe("python-packages", repr((debian.PYTHON, _requirements())), _write_python_packages),
        Recipe(
            "tensorflow",
            repr([(name, (_tensorflow() / name).stat().st_size) for name in _RUNTIME_FILES]),
            _write_tensorflow,
        ),
    ]
    sources = [(str(path.relative_to(ROOT)), path.read_bytes()) for path in _model_server_sources()]
    recipe_files = [Path(__file__).with_name(name).read_bytes() for name in ("layers.py", "image.py")]
    inputs = repr(([recipe.key for recipe in lower], sources, recipe_files))
    return [*lower, Recipe("model-server", inputs, _write_model_server)]


def _write_debian(tar: IO[bytes] | io.RawIOBase) -> None:
    command = [*debian.bootstrap_command(_DEBIAN_PACKAGES), "-", *debian.package_mirror()]
    with tempfile.TemporaryFile("w+") as messages:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages) as process:
            shutil.copyfileobj(cast("IO[bytes]", process.stdout), cast("IO[bytes]", tar), 1 << 20)
        if process.returncode != 0:
            messages.seek(0)
            raise EngineUnavailableError(f"the image's Debian: {debian.last_line(messages.read())}")


def _write_python_packages(tar: IO[bytes] | io.RawIOBase) -> None:
    machine = os.uname().machine
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 4, -1)] + [f"manylinux2014_{machine}"]
    with tempfile.TemporaryDirectory() as directory:
        debian.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", directory),
                *("--only-binary=:all:", "--python-version", debian.PYTHON),
                *(f"--platform={platform}" for platform in platforms),
                *_requirements(),
            ]
        )
        _compile(Path(directory))
        with _stream(tar) as tree:
            tree.add(Path(directory), HOME, filter=_owned_by_root)


def _write_tensorflow(tar: IO[bytes] | io.RawIOBase) -> None:
    """Writes the libraries, which are the same for every Python, and an empty package, by which they are found."""
    with _stream(tar) as tree:
        _add_text(tree, f"{HOME}/tensorflow/__init__.py", '"""Contains the runtime libraries only."""\n', 0o644)
        for name in _RUNTIME_FILES:
            tree.add(_tensorflow() / name, f"{HOME}/tensorflow/{name}", filter=_owned_by_root)


def _write_model_server(tar: IO[bytes] | io.RawIOBase) -> None:
    with tempfile.TemporaryDirectory() as directory:
        for source in _model_server_sources():
            copy = Path(directory, source.relative_to(ROOT))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        _compile(Path(directory))
        with _stream(tar) as tree:
            tree.add(Path(directory), HOME, filter=_owned_by_root)
            _add_text(tree, "usr/bin/tensorflow_model_server", _PROGRAM, 0o755)
            _add_text(tree, "usr/bin/tf_serving_entrypoint.sh", _ENTRYPOINT, 0o755)
            _add_directory(tree, "models")
            _add_directory(tree, "tensorflow-serving")


def _model_server_sources() -> list[Path]:
    """The files of the model server, and the files of the project that they import, directly or indirectly."""
    found: set[Path] = set()
    todo = [ROOT / "tfserve/__init__.py", *(ROOT / "tfserve/model_server").rglob("*.py")]
    while todo:
        path = todo.pop()
        if path not in found and path.is_file():
            found.add(path)
            todo += [] if path.parent == ROOT / "tfserve" and path.stem == "__init__" else _imports(path)
    return sorted(found)


def _imports(path: Path) -> Iterator[Path]:
    """The possible files of the modules of this project that a file imports. Some of them may not exist."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for parts in (f"{prefix}{name}".split(".") for name in names if f"{prefix}{name}".startswith("tfserve.")):
            for length in range(2, len(parts) + 1):
                module = ROOT.joinpath(*parts[:length])
                yield from (module.with_suffix(".py"), module / "__init__.py")


def _requirements() -> list[str]:
    """The packages that the model server needs besides TensorFlow, as pyproject.toml names them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    local = [line for line in project["optional-dependencies"]["local"] if not line.startswith("tensorflow")]
    return [*local, *(line for line in project["dependencies"] if line.startswith("protobuf"))]


def _tensorflow() -> Path:
    """The directory of the installed TensorFlow, located without importing it."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise EngineUnavailableError("TensorFlow, which the image needs, is not installed: pip install -e '.[dev]'")
    return Path(spec.origin).parent


def _compile(directory: Path) -> None:
    """Compiles all modules if the Python of the image is installed; most users cannot write to the image."""
    this_python = f"{sys.version_info.major}.{sys.version_info.minor}" == debian.PYTHON
    python = sys.executable if this_python else shutil.which(f"python{debian.PYTHON}")
    if python is not None:
        arguments = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(directory), "-p", f"/{HOME}"]
        subprocess.run([python, "-I", "-m", "compileall", *arguments, str(directory)], check=False, capture_output=True)


def _stream(tar: IO[bytes] | io.RawIOBase) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast("IO[bytes]", tar), mode="w|", bufsize=1 << 20)


def _add_text(tree: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), mode
    tree.addfile(_owned_by_root(entry), io.BytesIO(text.encode()))


def _add_directory(tree: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    tree.addfile(_owned_by_root(entry))


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Makes root the owner, and gives read access to all users; removes times, so that the tar is reproducible."""
    executable = entry.isdir() or entry.mode & 0o100
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if executable else 0o644
    return entry
