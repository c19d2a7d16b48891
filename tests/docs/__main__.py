"""Runs the pages and prints where they are out of date: ``python -m tests.docs [--write] [PAGE]...``.

With --write, it writes the real output into the pages.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.docs.pages import PAGES
from tests.docs.run import differences, rewritten
from tests.docs.session import Session, prepare
from tests.program import Program


def main(arguments: list[str]) -> int:
    """Runs the pages that are named, or all of them."""
    write = "--write" in arguments
    names = [name for name in arguments if not name.startswith("-")] or list(PAGES)
    found = 0
    for name in names:
        with tempfile.TemporaryDirectory() as made:
            program = Program(Path(made))
            prepare(program.home, everything=name != "README")
            session = Session(program.home, program.environment)
            text = PAGES[name].read_text(encoding="utf-8")
            try:
                if write:
                    PAGES[name].write_text(rewritten(text, session), encoding="utf-8")
                else:
                    for difference in differences(text, session):
                        print(f"--- {name}", difference, sep="\n")
                        found += 1
            finally:
                program.clean_up()
    return 1 if found else 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(main(sys.argv[1:]))
