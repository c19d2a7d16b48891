"""The cost of looking for GPUs before a server starts: a plan with a GPU, compared with a plan without."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.command_line import HALF_PLUS_TWO, TFSERVE
from tests.benchmarks.pairs import Effort, Row, compare, run
from tests.nvidia.stub import Card, build, environment, real_gpu

_MAY_ADD_SECONDS = 0.060
_HOOK = "nvidia-container-runtime-hook"


def rows(effort: Effort) -> Iterator[Row]:
    """Yields the row of this part. Without a GPU, the driver's library and the hook of the toolkit are stubs."""
    before = dict(os.environ)
    plan = [TFSERVE, "run", str(HALF_PLUS_TWO), "--engine", "docker", "--dry-run"]
    with tempfile.TemporaryDirectory() as directory:
        try:
            if not real_gpu():
                hook = Path(directory, _HOOK)
                hook.write_text("#!/bin/sh\n")
                hook.chmod(0o755)
                os.environ |= environment(build(Path(directory)), Card())
                os.environ["PATH"] = os.pathsep.join([directory, os.environ["PATH"]])
            row = compare(
                "tfserve run --gpu --dry-run",
                lambda: run([*plan, "--gpu"]),
                "tfserve run --no-gpu --dry-run, and 60 ms more",
                lambda: run([*plan, "--no-gpu"]),
                at_most=1,
                rounds=effort.rounds,
            )
        finally:
            os.environ.clear()
            os.environ.update(before)
    yield replace(row, limit=1 + _MAY_ADD_SECONDS / row.theirs)
