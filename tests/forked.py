"""Runs the command line in processes forked from one that has loaded it, as loading is most of what a command takes."""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

import tfserve.cli
import tfserve.client
import tfserve.engines

__all__ = ["run"]

_FORKED = multiprocessing.get_context("forkserver")
_LOADED = [
    module.name
    for package in (tfserve.cli, tfserve.client, tfserve.engines)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
_FORKED.set_forkserver_preload([__name__, "docker", "requests", *_LOADED])


def run(
    arguments: Sequence[str], environment: dict[str, str], stdin: str | None = None, seconds: float = 60
) -> CompletedProcess[str]:
    """Runs ``tfserve`` to its end with these arguments and this environment.

    Raises:
        TimeoutExpired: it took longer than that; it is killed.
    """
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        (directory / "stdin").write_text(stdin or "")
        process = _FORKED.Process(target=_tfserve, args=(arguments, environment, directory))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            raise TimeoutExpired(["tfserve", *arguments], seconds)
        stdout, stderr = ((directory / name).read_bytes().decode() for name in ("stdout", "stderr"))
        return CompletedProcess(["tfserve", *arguments], process.exitcode, stdout, stderr)


def _tfserve(arguments: Sequence[str], environment: dict[str, str], directory: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        with (directory / name).open(mode) as file:
            os.dup2(file.fileno(), number)
        setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - until the process ends
    sys.argv[:] = ["tfserve", *arguments]
    from tfserve.__main__ import main

    main()
