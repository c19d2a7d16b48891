"""The priority of the threads that run models, for machines with fewer processors than busy threads."""

from __future__ import annotations

import os
import sys

MODEL_NICENESS = 5
"""The niceness of threads that run models: on Linux, they get a third of the event loop's share of a processor."""


def lower_priority() -> None:
    """Lowers the priority of this thread, and of the threads that it starts, below that of the event loop.

    The event loop needs a processor only briefly, and answers the requests that do not wait for a slow model: those to
    fast models, and for the status. Has no effect if threads have no niceness of their own, or cannot change it.
    """
    if sys.platform != "linux":
        return
    try:
        os.nice(MODEL_NICENESS)  # on Linux, only of this thread
    except OSError:  # a sandbox can forbid it
        return
