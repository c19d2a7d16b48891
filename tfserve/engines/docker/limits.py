"""What a container does not need, or cannot do, that a process of this machine can."""

from __future__ import annotations

from tfserve.engines.registry import engines_for
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.spec.serve import ServeSpec

__all__ = ["refuse_process_options"]


def refuse_process_options(spec: ServeSpec) -> None:
    """Refuses what only applies to a process of this machine.

    Raises:
        UsageError: `spec` requests something that only such a process has.
    """
    if unusable := spec.process_options():
        raise UsageError(
            Wording(
                "{options} can only be used with local processes: a container has limits of its own, and takes reloads "
                "on its gRPC port.",
                options=[*map(Attribute, unusable)],
            ),
            hint=Wording("Leave it out, or use {others}.", others=engines_for(spec)),
            about=(unusable[0],),
        )
