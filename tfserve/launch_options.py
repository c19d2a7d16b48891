"""How to start a server, as opposed to what it is."""

from __future__ import annotations

from dataclasses import dataclass

from tfserve.defaults import WAIT_SECONDS, EngineChoice, PullPolicy
from tfserve.errors import UsageError, option

__all__ = ["LaunchOptions"]


@dataclass(frozen=True)
class LaunchOptions:
    """How to start a server, as opposed to what it is.

    Attributes:
        engine: which engine to run it on.
        pull: when to pull the image.
        wait_seconds: how long to wait until it is ready; 0 for not at all.
        smoke_test: whether to ask it once when it is ready.
        smoke_request: the body of that predict request; None for the smallest the signature allows.
        replace: whether to take the place of a server of the same name.
        keep_failed: whether a server that did not become ready stays, for a look at it.
    """

    engine: EngineChoice = "auto"
    pull: PullPolicy = "missing"
    wait_seconds: float = WAIT_SECONDS
    smoke_test: bool = True
    smoke_request: bytes | None = None
    replace: bool = False
    keep_failed: bool = False

    def __post_init__(self) -> None:
        """Checks that no two servers would be left with one name."""
        if not self.wait_seconds >= 0:  # nan is neither more nor less
            raise UsageError(
                f"{self.wait_seconds:g} is not a number of seconds.",
                hint="Give 0 or more, such as 60.",
                about=("wait_seconds",),
            )
        if self.smoke_request is not None and not (self.smoke_test and self.wait_seconds):
            raise UsageError(
                "A server that is not waited for, or not tried, gets no request.",
                hint=f"Leave {option('--smoke-test')} out, or wait for the server and try it.",
                about=("smoke_request",),
            )
        if self.replace and self.keep_failed:
            raise UsageError(
                "--replace and --keep-failed contradict each other: when the new server fails, the old one takes its "
                "name back.",
                hint="Leave one of them out, or try the new server under another --name first.",
            )
