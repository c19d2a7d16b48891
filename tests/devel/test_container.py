from __future__ import annotations

from pathlib import Path
from typing import Any

from tfserve.devel.container import DevelSpec, devel_plan
from tfserve.plan.engine_facts import EngineFacts
from tfserve.plan.launch_plan import LaunchPlan, Mount, PublishedPort
from tfserve.spec.image import ImageReference
from tfserve.spec.port_request import PortRequest

IMAGE = ImageReference.parse().official_variant(devel=True)


def plan(engine: EngineFacts | None = None, grpc_port: int | None = 8500, **changes: Any) -> LaunchPlan:
    spec = DevelSpec(IMAGE, PortRequest(grpc_port), ("bazel", "version"), **changes)
    return devel_plan("devel-1", spec, engine or EngineFacts(), grpc_port=grpc_port)


def test_plan() -> None:
    assert plan() == LaunchPlan(
        name="devel-1",
        models=(),
        mounts=(),
        rest=None,
        grpc=PublishedPort(8500, "127.0.0.1", 8500),
        environment={},
        command=("bazel", "version"),
        image="tensorflow/serving:latest-devel",
    )


def test_sources_replace_those_of_the_image() -> None:
    made = plan(source=Path("/src"), engine=EngineFacts(selinux=True))
    assert made.mounts == (Mount("/src", "/tensorflow-serving", read_only=False),)
    assert made.security_options == ("label=disable",)


def test_terminal_needs_an_init_process() -> None:
    assert plan(terminal=True).init


def test_gpu() -> None:
    registered = plan(gpu=True, engine=EngineFacts(runtimes=frozenset({"nvidia"})))
    assert (registered.gpu, registered.runtime, registered.gpus) == (True, "nvidia", None)
    assert (plan(gpu=True).runtime, plan(gpu=True).gpus) == (None, "all")
    assert (plan().runtime, plan().gpus) == (None, None)


def test_no_port() -> None:
    assert plan(grpc_port=None).grpc is None
