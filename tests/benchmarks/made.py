"""What benchmarks need and takes long to make, kept from one run to the next: models, an environment with BentoML."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_BENTOML = "bentoml>=1.4,<1.5"


def models() -> Path:
    """Returns the directory that ``make_models.py`` filled."""
    return _made_by_script("make_models.py")


def conv_models() -> Path:
    """Returns the directory that ``make_conv_model.py`` filled."""
    return _made_by_script("make_conv_model.py")


def bentoml() -> Path:
    """Returns the directory of an environment with BentoML, which sees the packages of this one behind its own."""

    def make(directory: Path) -> None:
        print("making an environment with BentoML, which takes a minute", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        subprocess.run([directory / "bin" / "pip", "install", "-q", _BENTOML], check=True, stdout=sys.stderr)
        packages = next(directory.glob("lib/python*/site-packages"))
        (packages / "tensorflow.pth").write_text(sysconfig.get_paths()["purelib"])

    return _made(f"bentoml {_BENTOML} {sys.version} {sysconfig.get_paths()['purelib']}", make)


def _made_by_script(name: str) -> Path:
    script = Path(__file__).with_name(name)

    def make(directory: Path) -> None:
        directory.mkdir()
        made = subprocess.run([sys.executable, script, directory], check=False, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr

    return _made(script.read_text(), make)


def _made(recipe: str, make: Callable[[Path], None]) -> Path:
    """Returns the directory that `make` fills; it is made once for each `recipe`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfserve-benchmarks"
    directory = cache / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    whole = directory / ".whole"
    if not whole.exists():
        shutil.rmtree(directory, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        make(directory)  # in place: an environment cannot be moved
        whole.touch()
    return directory


@contextmanager
def temporary(content: bytes | str) -> Iterator[Path]:
    """Gives a file with `content` in it, for the length of a ``with`` block."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "file"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        yield file
