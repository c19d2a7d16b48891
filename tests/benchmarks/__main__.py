"""Prints the table of start-up times and memory: ``python -m tests.benchmarks [--rounds N] [--no-engine]``.

The row of the Docker Engine needs one that has ``tensorflow/serving`` (``python tests/engine/up.py`` brings one up).
"""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks import command_line, docker_run, model_server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="pairs of each row (default: %(default)s)")
    parser.add_argument("--no-engine", action="store_true", help="leave out what needs a Docker Engine")
    options = parser.parse_args()
    print(f"{'median of ' + str(options.rounds) + ' pairs':<52} {'tfserve':>11}   {'reference':>11}   ratio   most")
    missed = 0
    parts = [command_line.rows, model_server.rows] + ([] if options.no_engine else [docker_run.rows])
    for part in parts:
        for row in part(options.rounds):
            print(row, flush=True)
            missed += row.ratio > row.at_most
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
