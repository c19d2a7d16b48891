"""The program: ``tfserve``, or ``python -m tfserve``."""

from __future__ import annotations

import gc
import os
import sys

__all__ = ["main"]

_OBJECTS_BEFORE_COLLECTION = 100_000


def main() -> None:
    """Runs the command line.

    Garbage collection while modules are imported finds nothing, but takes a tenth of the time of a short command.
    """
    from tfserve.host.search_paths import leave_current_directory, restart_without_relative_libraries

    restart_without_relative_libraries()
    leave_current_directory()
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the parent process has closed it
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - it stays open until the process exits
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
    try:
        from tfserve.interrupts import leave_on_interrupt

        leave_on_interrupt()
    except KeyboardInterrupt:
        os._exit(130)
    from tfserve.cli import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
