"""Brings up a Docker Engine that can pull `tensorflow/serving`, or ends it: `python tests/e2e/up.py [--down]`.

Run by hand or by `tests/run` before the tests. Everything of substance is in the modules beside this file.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[0] = str(here.parent)  # run as a file, this directory is a package to be found by name
    sys.exit(importlib.import_module(f"{here.name}.bring_up").main())
