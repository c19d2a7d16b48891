"""Finds programs, and starts Python, without looking in the current directory; see `tfserve.host.search_paths`."""

from __future__ import annotations

import os
import shutil
import sys

from tfserve.host.search_paths import absolute_entries

__all__ = ["find_program", "python_command"]

_RUN_MODULE = """import sys; sys.path.remove("")
import runpy; runpy.run_module({!r}, run_name="__main__", alter_sys=True)"""


def python_command(module: str) -> tuple[str, ...]:
    """Returns the command that runs `module` with this interpreter, without its working directory on the path."""
    if sys.version_info >= (3, 11):
        return sys.executable, "-P", "-m", module
    return sys.executable, "-c", _RUN_MODULE.format(module)


def find_program(name: str, path: str | None = None) -> str | None:
    """Finds a program in the absolute directories of `path`, by default of ``PATH``; returns None if it has none."""
    searched = os.environ.get("PATH", os.defpath) if path is None else path
    return shutil.which(name, path=absolute_entries(searched) or os.defpath)
