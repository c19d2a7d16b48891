"""What is known about a kind of engine before anything connects to it, such as whether ``auto`` can use it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from tfserve.defaults import PullPolicy
from tfserve.engines.base import Engine, Planner
from tfserve.errors import Wording

if TYPE_CHECKING:
    from tfserve.gpu.machine import Host
    from tfserve.progress import Progress
    from tfserve.spec.serve import ServeSpec

__all__ = ["EngineKind", "Prepared"]


class Prepared(NamedTuple):
    """An engine that is ready to launch a server, and whether the server is to use a GPU."""

    engine: Engine
    gpu: bool


class EngineKind(ABC):
    """A kind of engine: what is known about it before anything connects to it. Its methods load what they need.

    Attributes:
        name: the name of its package.
        title: what messages call it, such as ``the local engine``.
        rank: when ``auto`` tries it, lowest first; None if it is only used when chosen by name.
        lists_instantly: whether its servers are listed without a delay.
        needs_image: whether its servers run an image.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    rank: ClassVar[int | None] = None
    lists_instantly: ClassVar[bool] = False
    needs_image: ClassVar[bool] = True

    @abstractmethod
    def is_configured(self) -> bool:
        """Whether there is reason to connect to it when it is not chosen by name. Takes no time."""

    @abstractmethod
    def is_installed(self) -> bool:
        """Whether it can probably launch servers, so that ``auto`` can use it in place of another engine."""

    @abstractmethod
    def how_to_use(self) -> str | Wording:
        """What the user can do to serve with it."""

    @abstractmethod
    def connect(self) -> Engine:
        """Connects to it.

        Raises:
            EngineUnavailableError: it does not answer, or this user may not use it.
        """

    @abstractmethod
    def prepare(self, spec: ServeSpec, pull: PullPolicy | None, progress: Progress, host: Host) -> Prepared:
        """Connects to it and prepares it for `spec`; afterwards it has the image.

        Args:
            spec: what was requested.
            pull: when to pull the image; None to do without it, for a plan that is only shown.
            progress: reports pulls and decisions.
            host: this machine.

        Raises:
            EngineUnavailableError: the engine cannot be used.
            ImageError: the image is not available.
            GpuError: a GPU was requested and cannot be used.
        """

    def supports(self, spec: ServeSpec) -> bool:
        """Whether it can do what `spec` requests, if it is available."""
        return True

    def refuse_unsupported(self, spec: ServeSpec) -> None:  # noqa: B027 - most engines support all of it
        """Refuses what it can never do, before anything else is checked.

        Raises:
            TfserveError: `spec` requests something that it does not support.
        """

    def may_use_gpus(self) -> bool:
        """Whether `prepare` may need the facts about this machine's GPUs."""
        return False

    def planner_without_engine(self) -> Planner | None:
        """Plans as a typical engine of this kind would, without connecting to one; None if that is not possible."""
        return None

    def starting_together(self, servers: int) -> AbstractContextManager[None]:
        """Prepares to launch this number of servers at the same time, in any threads, while the block runs."""
        return nullcontext()
