"""Runs the command line in forks of a process that has already imported it, as most of a command's time is imports."""

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

_CONTEXT = multiprocessing.get_context("forkserver")
_MODULES = [
    module.name
    for package in (tfserve.cli, tfserve.client, tfserve.engines)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
_CONTEXT.set_forkserver_preload([__name__, "docker", "requests", *_MODULES])


def run(
    arguments: Sequence[str], environment: dict[str, str], stdin: str | None = None, seconds: float = 60
) -> CompletedProcess[str]:
    """Runs ``tfserve`` with these arguments and this environment, and waits until it exits.

    Raises:
        TimeoutExpired: it ran for more than `seconds`, and was killed.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "stdin").write_text(stdin or "")
        process = _CONTEXT.Process(target=_tfserve, args=(arguments, environment, directory))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            raise TimeoutExpired(["tfserve", *arguments], seconds)
        stdout, stderr = ((directory / stream).read_bytes().decode() for stream in ("stdout", "stderr"))
        return CompletedProcess(["tfserve", *arguments], process.exitcode, stdout, stderr)


def _tfserve(arguments: Sequence[str], environment: dict[str, str], directory: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        with (directory / name).open(mode) as file:
            os.dup2(file.fileno(), number)
        setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - open until the process exits
    sys.argv[:] = ["tfserve", *arguments]
    from tfserve.__main__ import main

    main()
