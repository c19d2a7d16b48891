"""Runs servers as processes of this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from tfserve.engines.base import Engine
from tfserve.engines.kinds import EngineKind, Prepared

if TYPE_CHECKING:
    from tfserve.defaults import PullPolicy
    from tfserve.errors import Wording
    from tfserve.gpu.machine import Host
    from tfserve.progress import Progress
    from tfserve.spec.serve import ServeSpec

__all__ = ["KIND"]


class _Local(EngineKind):
    name = "local"
    title = "the local engine"
    rank = 10
    lists_instantly = True
    needs_image = False

    def is_configured(self) -> bool:
        return True

    def is_installed(self) -> bool:
        from tfserve.engines.local.runtime import is_installed

        return is_installed()

    def how_to_use(self) -> Wording:
        from tfserve.engines.local.runtime import how_to_serve

        return how_to_serve()

    def connect(self) -> Engine:
        from tfserve.engines.local.engine import LocalEngine

        return LocalEngine()

    def prepare(self, spec: ServeSpec, pull: PullPolicy | None, progress: Progress, host: Host) -> Prepared:
        return Prepared(self.connect(), gpu=False)

    def supports(self, spec: ServeSpec) -> bool:
        from tfserve.engines.local.variables import runs_code

        return not spec.container_options() and not spec.wants_gpu and not any(map(runs_code, spec.environment))

    def refuse_unsupported(self, spec: ServeSpec) -> None:
        from tfserve.engines.local.limits import refuse_container_options

        refuse_container_options(spec)

    def starting_together(self, servers: int) -> AbstractContextManager[None]:
        if servers < 2:
            return nullcontext()
        from tfserve.engines.local.process import starting_together

        return starting_together(servers)


KIND = _Local()
