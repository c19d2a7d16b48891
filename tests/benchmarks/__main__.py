"""Prints the tables of speed and memory: ``python -m tests.benchmarks [--only PART …] [--rounds N] [--seconds S]``.

Parts, in the order they run: see `PARTS`. ``docker``, ``gpu`` and ``package`` need a Docker Engine that has
``tensorflow/serving`` (``python tests/e2e/up.py`` starts one); those that put load on a server need ``wrk`` or
``h2load``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator

from tests.benchmarks import (
    command_line,
    docker_run,
    gpu,
    many_rows,
    memory,
    model_server,
    package,
    python_api,
    throughput,
    up,
)
from tests.benchmarks.load import MissingToolError
from tests.benchmarks.pairs import Effort, Row

PARTS: dict[str, Callable[[Effort], Iterator[Row]]] = {
    "commands": command_line.rows,
    "up": up.rows,
    "python": python_api.rows,
    "start": model_server.rows,
    "docker": docker_run.rows,
    "gpu": gpu.rows,
    "package": package.rows,
    "rest": throughput.rest_rows,
    "slow": throughput.slow_rows,
    "floor": many_rows.floor_rows,
    "grpc": many_rows.grpc_rows,
    "batching": throughput.batching_rows,
    "memory": memory.rows,
}
_WITH_ENGINE = ("docker", "gpu", "package")


def main() -> None:
    """Prints the rows, and exits with code 1 if a ratio is outside its limit."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=tuple(PARTS), help="parts to run (default: all)")
    parser.add_argument("--rounds", type=int, default=15, help="pairs of each row of short runs (default: %(default)s)")
    parser.add_argument(
        "--load-rounds", type=int, default=3, help="pairs of each row under load (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=10, help="length of each load (default: %(default)s)")
    parser.add_argument("--no-engine", action="store_true", help="omit what needs a Docker Engine")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow would log between the rows
    heading = f"{'tfserve':>12}  {'reference':>12}   ratio  target"
    print(f"{f'medians of {options.rounds} pairs, or {options.load_rounds} under load':<58} {heading}")
    effort = Effort(options.rounds, options.load_rounds, options.seconds)
    missed = 0
    for part, rows in PARTS.items():
        if part not in options.only or (options.no_engine and part in _WITH_ENGINE):
            continue
        try:
            for row in rows(effort):
                print(row, flush=True)
                missed += not row.met
        except MissingToolError as failure:
            print(f"{part}: omitted: {failure}", flush=True)
            missed += 1
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
