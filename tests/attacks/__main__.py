"""Prints what each attack does to a model server: ``python -m tests.attacks [--only NAME…] [--fuzz SECONDS]``.

Each attack runs against a fresh server, next to an ordinary client. The columns are the longest answer of this client,
how many of its requests failed, and the memory of the server above that of an idle one: at most during the attack, and
at most 10 seconds later. The exit code is 1 if a bound was not met.
"""

from __future__ import annotations

import argparse
import sys

from tests.attacks import fuzz, grpc, grpc_frames, rest, rest_bursts
from tests.attacks.measure import Attack, measure

_APIS: dict[str, list[Attack]] = {
    "rest": rest.ATTACKS,
    "rest_bursts": rest_bursts.ATTACKS,
    "grpc": grpc.ATTACKS,
    "grpc_frames": grpc_frames.ATTACKS,
}


def main() -> None:
    """Runs the attacks, and then the fuzzers if they are wanted."""
    names = [f"{api}.{attack.__name__}" for api, attacks in _APIS.items() for attack in attacks]
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help="attacks to run")
    parser.add_argument("--list", action="store_true", help="list the attacks")
    parser.add_argument("--fuzz", type=float, default=0, metavar="SECONDS", help="send random requests for so long")
    options = parser.parse_args()
    if options.list:
        print("\n".join(names))
        return
    print(f"{'attack':<60} {'longest':>9} {'failed':>7} {'memory':>9} {'later':>9}")
    missed = 0
    for api, attacks in _APIS.items():
        for attack in attacks:
            if f"{api}.{attack.__name__}" in options.only:
                result = measure(attack, grpc=api.startswith("grpc"))
                missed += not result.met
                print(
                    f"{f'{api}.{attack.__name__}':<60} {result.longest_seconds:7.2f} s {result.failures:7d} "
                    f"{result.peak_bytes / 1e6:6.0f} MB {result.kept_bytes / 1e6:6.0f} MB  "
                    f"{'ok' if result.met else 'MISSED' if result.alive else 'SERVER DIED'}",
                    flush=True,
                )
    if options.fuzz:
        missed += not fuzz.run(options.fuzz)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
