"""Which threads go first where there are more of them than processors."""

from __future__ import annotations

import os
import sys

MODEL_NICENESS = 5
"""How much nicer than the event loop the threads are that run models: on Linux, a third of its share of a processor."""


def let_event_loop_go_first() -> None:
    """Makes this thread, and those that it starts from now on, less urgent than the thread of the event loop.

    The loop needs a processor for moments only, and answers whoever need not wait for a slow model: those who ask a
    fast one, or for its status. Does nothing where threads have no niceness of their own, or may not change it.
    """
    if sys.platform != "linux":
        return
    try:
        os.nice(MODEL_NICENESS)  # on Linux, of this thread alone
    except OSError:  # a sandbox forbids it
        return
