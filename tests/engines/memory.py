"""An engine that keeps its servers in memory: the smallest that can be launched on, for tests of what uses engines.

The fixture `memory` installs it as a package below `tfserve.engines`, as any new engine would be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from tfserve.defaults import PullPolicy
from tfserve.engines.base import AddedModel, Diagnosis, Exit, Server
from tfserve.engines.conflicts import changed_elsewhere, name_taken
from tfserve.engines.kinds import EngineKind, Prepared
from tfserve.errors import TfserveError
from tfserve.exporters.docker_run import docker_run
from tfserve.gpu.machine import Host
from tfserve.models.saved_model import ModelDirectory
from tfserve.plan import labels
from tfserve.plan.container import container_plan
from tfserve.plan.engine_facts import EngineFacts
from tfserve.plan.launch_plan import HostPorts, LaunchPlan
from tfserve.progress import Progress
from tfserve.spec.serve import ServeSpec
from tfserve.spec.server_flags import flag_digests

__all__ = ["KIND", "READY", "MemoryEngine", "MemoryServer"]

READY = "[evhttp_server.cc : 261] NET_LOG: Entering the event loop ..."


class MemoryEngine:
    """Runs nothing, and records what it should run.

    Attributes:
        events: the calls, such as ``launch m`` and ``remove m``.
        log: the lines that new servers write; they exit if these do not include `READY`.
        refusals: errors that the next launches raise, one each.
        failures: errors that methods of servers raise, by the event in which they do so.
        plans: the plans of the launches so far.
    """

    name = "memory"
    shares_ports = False
    reserves_ports = True

    def __init__(self) -> None:
        self.stored: dict[str, MemoryServer] = {}
        self.events: list[str] = []
        self.log: tuple[str, ...] = (READY,)
        self.refusals: list[TfserveError] = []
        self.failures: dict[str, BaseException] = {}
        self.plans: list[LaunchPlan] = []
        self.records_secrets = True

    def plan(
        self, spec: ServeSpec, directories: Sequence[ModelDirectory], ports: HostPorts, *, gpu: bool
    ) -> LaunchPlan:
        self.note("plan", spec.name)
        digests = flag_digests(spec.server_flags)
        return container_plan(spec, directories, ports, engine=EngineFacts(), gpu=gpu, flag_files=digests)

    def command_line(self, plan: LaunchPlan) -> str:
        return docker_run(plan)

    def launch(self, plan: LaunchPlan) -> MemoryServer:
        self.note("launch", plan.name)
        if plan.name in self.stored:
            raise name_taken(plan.name)
        if self.refusals:
            raise self.refusals.pop(0)
        self.plans.append(plan)
        server = MemoryServer(
            name=plan.name,
            engine=self,
            memory=self,
            state="running",
            models=plan.models,
            created=datetime.now(timezone.utc),
            grpc_address=f"127.0.0.1:{plan.grpc.host_port}" if plan.grpc else None,
            config=plan.labels.get(labels.CONFIG),
            label=plan.labels[labels.SPEC],
            variables={**plan.environment, **plan.secrets},
            files=plan.files,
            log=self.log,
        )
        self.stored[plan.name] = server
        return server

    def servers(self) -> list[MemoryServer]:
        return list(self.stored.values())

    def find(self, name: str) -> MemoryServer | None:
        return self.stored.get(name)

    def note(self, event: str, name: str) -> None:
        """Records an event, in which an error may be raised."""
        self.events.append(f"{event} {name}")
        if event in self.failures:
            raise self.failures[event]


@dataclass(frozen=True)
class MemoryServer(Server):
    memory: MemoryEngine = field(kw_only=True, repr=False, compare=False)
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    log: tuple[str, ...] = ()

    def logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[str]:
        yield from self.log
        if follow and READY not in self.log and self.name in self.memory.stored:  # it has exited
            self._store(dataclasses.replace(self, state="exited", exit=Exit(1)))

    def start(self) -> Server:
        self.memory.note("start", self.name)
        return self._store(dataclasses.replace(self, state="running"))

    def stop(self, *, grace: float) -> None:
        self.memory.note("stop", self.name)
        self._store(dataclasses.replace(self, state="exited", exit=Exit(0)))

    def remove(self) -> None:
        self.memory.note("remove", self.name)
        del self.memory.stored[self.name]

    def models_config(self) -> str | None:
        return self.files[self.config] if self.config else None

    def save_models_config(self, config: str, models: Sequence[str]) -> None:
        files = {**self.files, str(self.config): config}
        self._store(dataclasses.replace(self, models=tuple(models), files=files))

    def add_model(self, name: str, directory: ModelDirectory) -> AddedModel:
        return AddedModel(str(directory.path), copied=False)

    def versions(self, base_path: str) -> tuple[int, ...]:
        return (1,)

    def environment(self) -> Mapping[str, str]:
        return self.variables

    def diagnose(self, log: Sequence[str], exited: Exit | None) -> Diagnosis | None:
        return None

    def suspend(self, *, grace: float) -> Server | None:
        self.memory.note("suspend", self.name)
        del self.memory.stored[self.name]
        suspended = dataclasses.replace(self, name=f"{self.name}.suspended", state="exited")
        self.memory.stored[suspended.name] = suspended
        return suspended

    def restore(self, original: Server) -> None:
        self.memory.note("restore", original.name)
        if original.name in self.memory.stored:
            raise changed_elsewhere(original.name)
        del self.memory.stored[self.name]
        self.memory.stored[original.name] = dataclasses.replace(self, name=original.name, state=original.state)

    def _store(self, changed: MemoryServer) -> MemoryServer:
        self.memory.stored[self.name] = changed
        return changed


class _Memory(EngineKind):
    name = "memory"
    title = "the memory engine"
    rank = 5

    def __init__(self) -> None:
        self.engine = MemoryEngine()

    def is_configured(self) -> bool:
        return True

    def is_installed(self) -> bool:
        return True

    def how_to_use(self) -> str:
        return "It cannot fail."

    def connect(self) -> MemoryEngine:
        return self.engine

    def prepare(self, spec: ServeSpec, pull: PullPolicy | None, progress: Progress, host: Host) -> Prepared:
        self.engine.note("prepare", spec.name)
        return Prepared(self.engine, bool(spec.wants_gpu))


KIND = _Memory()
