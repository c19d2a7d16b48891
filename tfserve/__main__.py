"""The program: ``tfserve``, or ``python -m tfserve``."""

from __future__ import annotations

import gc
import sys

__all__ = ["main"]

_OBJECTS_BEFORE_COLLECTION = 100_000


def main() -> None:
    """Runs the command line.

    Collecting garbage while modules are loaded finds nothing, and is a tenth of the time of a short command.
    """
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
    try:
        from tfserve.cli import main as run_command_line
    except KeyboardInterrupt:
        sys.exit(130)
    run_command_line()


if __name__ == "__main__":
    main()
