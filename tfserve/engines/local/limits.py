"""What a process of this machine cannot do, or must not be made to do, that a container can."""

from __future__ import annotations

from tfserve.engines.local.variables import refuse_variables
from tfserve.engines.registry import engines_for
from tfserve.errors import Attribute, GpuError, UsageError, Wording
from tfserve.spec.serve import ServeSpec

__all__ = ["refuse_container_options"]


def refuse_container_options(spec: ServeSpec) -> None:
    """Refuses what only a container can have.

    Raises:
        UsageError: `spec` requests something that only a container has, or sets a variable that runs code.
        GpuError: `spec` requests a GPU.
    """
    if unusable := spec.container_options():
        raise UsageError(
            Wording(
                "{options} can only be used with containers, which the local engine does not run.",
                options=[*map(Attribute, unusable)],
            ),
            hint=Wording("Leave it out, or use {others}.", others=engines_for(spec)),
            about=(unusable[0],),
        )
    refuse_variables(spec.environment)
    if spec.wants_gpu:
        raise GpuError(
            "The local engine serves on the CPU.",
            hint=Wording(
                "Use {others} for a GPU, or leave out {gpu} and the other GPU options.", others=engines_for(spec)
            ),
            doctor=False,
            about=(spec.gpu_attribute,),
        )
