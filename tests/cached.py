"""Directories that take long to make are made once per machine and shared by all runs of tests and benchmarks."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import packages_distributions, version
from pathlib import Path

__all__ = ["cached_directory", "made_by_script", "tensorflow_version", "virtual_environment"]


def made_by_script(script: Path) -> Path:
    """Returns the directory that `script`, a program that imports TensorFlow, filled with models. Do not change it."""

    def make(directory: Path) -> None:
        directory.mkdir()
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
        made = subprocess.run([sys.executable, script, directory], capture_output=True, text=True, env=environment)
        assert made.returncode == 0, made.stderr

    return cached_directory(f"{script.read_text()} {tensorflow_version()}", make)


def virtual_environment(*installs: tuple[str, ...]) -> Path:
    """Returns the directory of a virtual environment with packages of its own, which also sees those of this one.

    TensorFlow is then available without a second installation, and tfserve cannot come to depend on these packages.

    Args:
        installs: the arguments of each ``pip install`` that fills the environment.
    """
    packages_here = sysconfig.get_paths()["purelib"]

    def make(directory: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        for arguments in installs:
            subprocess.run([directory / "bin" / "pip", "install", "-q", *arguments], check=True, stdout=sys.stderr)
        packages = next(directory.glob("lib/python*/site-packages"))
        (packages / "packages_here.pth").write_text(packages_here)

    return cached_directory(f"{installs} {sys.version} {packages_here}", make)


def tensorflow_version() -> str:
    """Returns the version of the installed TensorFlow, which has one of several distribution names."""
    return version(packages_distributions()["tensorflow"][0])


def cached_directory(recipe: str, make: Callable[[Path], None]) -> Path:
    """Returns the directory that `make` filled. It is made once for each `recipe`, also by concurrent processes.

    Args:
        recipe: everything that the content depends on.
        make: makes the directory in place, as a virtual environment cannot be moved.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfserve-tests"
    cache.mkdir(parents=True, exist_ok=True)
    directory = cache / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    complete = directory / ".complete"
    if not complete.exists():
        with directory.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not complete.exists():
                shutil.rmtree(directory, ignore_errors=True)
                make(directory)
                complete.touch()
    return directory
