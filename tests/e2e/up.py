"""Starts a Docker Engine that can pull `tensorflow/serving`, or stops it: `python tests/e2e/up.py [--down]`.

Run by hand, or by `tests/run` before the tests. The work is done by the modules beside this file.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # run as a file, only its own directory would be searched
    sys.exit(importlib.import_module("tests.e2e.bring_up").main())
