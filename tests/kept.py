"""What takes long to make is made once on a machine, and kept from one run of tests or benchmarks to the next."""

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

__all__ = ["environment", "kept", "made_by", "tensorflow_version"]


def made_by(script: Path) -> Path:
    """Returns the directory that `script`, a program that imports TensorFlow, filled with models; not to be changed."""

    def make(directory: Path) -> None:
        directory.mkdir()
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
        made = subprocess.run([sys.executable, script, directory], capture_output=True, text=True, env=environment)
        assert made.returncode == 0, made.stderr

    return kept(f"{script.read_text()} {tensorflow_version()}", make)


def environment(*installs: tuple[str, ...]) -> Path:
    """Returns the directory of an environment with packages of its own, which sees those of this one behind them.

    So TensorFlow is there without being installed again, and nothing of ours may come to need what is in it.

    Args:
        installs: what each ``pip install`` that fills it is given.
    """
    behind = sysconfig.get_paths()["purelib"]

    def make(directory: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        for arguments in installs:
            subprocess.run([directory / "bin" / "pip", "install", "-q", *arguments], check=True, stdout=sys.stderr)
        packages = next(directory.glob("lib/python*/site-packages"))
        (packages / "behind.pth").write_text(behind)

    return kept(f"{installs} {sys.version} {behind}", make)


def tensorflow_version() -> str:
    """Returns the version of the TensorFlow that is installed, under whichever name."""
    return version(packages_distributions()["tensorflow"][0])


def kept(recipe: str, make: Callable[[Path], None]) -> Path:
    """Returns the directory that `make` made and filled; it is made once for each `recipe`, whoever asks at once.

    Args:
        recipe: all that the content depends on.
        make: makes the directory it is given, in place: an environment of Python cannot be moved.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfserve-tests"
    cache.mkdir(parents=True, exist_ok=True)
    directory = cache / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    whole = directory / ".whole"
    if not whole.exists():
        with directory.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                shutil.rmtree(directory, ignore_errors=True)
                make(directory)
                whole.touch()
    return directory
