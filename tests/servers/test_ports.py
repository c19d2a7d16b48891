from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.free_ports import free_ports
from tests.recorded_progress import RecordedProgress
from tfserve.errors import PortTakenError, UsageError
from tfserve.plan.launch_plan import HostPorts
from tfserve.servers.ports import PortChooser, requested_ports
from tfserve.spec.model import ModelSpec
from tfserve.spec.port_request import PortRequest
from tfserve.spec.serve import ServeSpec

LOOPBACK = "127.0.0.1"
NONE = PortRequest(None, explicit=True)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield listener.getsockname()[1]


def spec(**changes: Any) -> ServeSpec:
    return ServeSpec(**{"name": "m", "models": (ModelSpec(Path("/m"), "m"),), **changes})


def chooser(**changes: Any) -> PortChooser:
    return PortChooser(**{"host": LOOPBACK, "shared": True, "progress": RecordedProgress(), **changes})


def test_free_ports_are_chosen_as_requested() -> None:
    rest, grpc = free_ports(2)
    requests = {"rest_port": PortRequest(rest, explicit=True), "grpc_port": PortRequest(grpc)}
    with chooser() as chosen:
        assert chosen.choose(spec(**requests)) == HostPorts(rest, grpc)
        assert chosen.choose_one("grpc", NONE) is None


@pytest.mark.parametrize("explicit", [False, True])
def test_a_taken_port(taken: int, explicit: bool) -> None:
    progress = RecordedProgress()
    with chooser(progress=progress) as chosen:
        if explicit:
            with pytest.raises(PortTakenError, match=f"Port {taken} on {LOOPBACK} is taken") as caught:
                chosen.choose_one("rest", PortRequest(taken, explicit=True))
            assert caught.value.about == ("rest_port",)
            assert "rest_port=" in str(caught.value.hint)
        else:
            port = chosen.choose_one("rest", PortRequest(taken))
            assert port not in (None, 0, taken)
            assert progress.notices == [f"Port {taken} is taken; REST uses {port}."]


def test_a_taken_port_that_the_replaced_server_has(taken: int) -> None:
    with chooser(own={taken}) as chosen:
        assert chosen.choose_one("grpc", PortRequest(taken, explicit=True)) == taken


@pytest.mark.parametrize("number", [0, None])
def test_any_free_port_differs_from_the_other_api(number: int | None) -> None:
    (port,) = free_ports(1)
    default = PortRequest(port if number is None else number)
    with chooser() as chosen:
        rest = chosen.choose_one("rest", default)
        grpc = chosen.choose_one("grpc", default, beside=rest)
    assert rest
    assert grpc
    assert rest != grpc


def test_servers_that_start_together_get_different_ports() -> None:
    (default,) = free_ports(1)
    with chooser() as first, chooser() as second:
        assert first.choose_one("rest", PortRequest(default)) == default
        assert second.choose_one("rest", PortRequest(default)) not in (default, 0)
    with chooser() as third:  # the others have released it
        assert third.choose_one("rest", PortRequest(default)) == default


def test_a_rejected_port_is_not_chosen_again() -> None:
    (default,) = free_ports(1)
    with chooser() as chosen:
        ports = chosen.choose(spec(rest_port=PortRequest(default), grpc_port=NONE))
        chosen.reject(ports)
        assert chosen.choose_one("rest", PortRequest(default)) not in (default, 0)


def test_the_engine_of_another_machine_chooses_free_ports_itself(taken: int) -> None:
    with chooser(host="0.0.0.0", shared=False) as chosen:
        assert chosen.choose_one("rest", PortRequest(taken)) == taken  # nothing is known about that machine
        assert chosen.choose_one("grpc", PortRequest(0)) == 0


def test_a_host_that_is_not_of_this_machine() -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.1 is not an address of this machine"):
        chooser(host="192.0.2.1")
    with chooser(host="192.0.2.1", shared=False):
        pass


def test_requested_ports_are_checked_before_a_server_is_replaced(taken: int) -> None:
    requested = spec(rest_port=PortRequest(taken, explicit=True), grpc_port=PortRequest(0))
    with pytest.raises(PortTakenError):
        requested_ports(requested, shared=True, own=())
    assert requested_ports(requested, shared=True, own={taken}) == HostPorts(taken, 0)
    assert requested_ports(requested, shared=False, own=()) == HostPorts(taken, 0)
