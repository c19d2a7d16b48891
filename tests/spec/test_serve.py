from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfserve.errors import UsageError
from tfserve.spec import values
from tfserve.spec.fields import option_names
from tfserve.spec.gpus import GpuRequest
from tfserve.spec.model import ModelSpec
from tfserve.spec.port_request import PortRequest
from tfserve.spec.serve import ServeSpec

INVALID_NAMES = [
    "",
    " ",
    "a b",
    "a/b",
    "../a",
    ".a",
    "-a",
    "_a",
    'a"',
    "a'",
    "$(id)",
    "a\nb",
    "a\n",
    "ä",
    "名",
    "a" * 129,
    "a\0",
]


def spec(**changes: Any) -> ServeSpec:
    return ServeSpec(**{"name": "m", "models": (ModelSpec(Path("/m"), "m"),), **changes})


def usage_error(function: Callable[..., object], *arguments: object, **options: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        function(*arguments, **options)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert caught.value.message.isprintable()
    return caught.value


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"gpu": True}, True),
        ({"gpu": False}, False),
        ({"gpus": GpuRequest()}, True),
        ({"gpu_memory_fraction": 0.5}, True),
        ({"gpu_memory_growth": True}, True),
    ],
)
def test_gpu_options_require_a_gpu(changes: dict[str, Any], expected: bool | None) -> None:
    assert spec(**changes).wants_gpu is expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gpu": False, "gpus": GpuRequest()}, "gpu=False cannot be combined with gpus="),
        ({"gpu": False, "gpu_memory_fraction": 0.5}, "gpu=False cannot be combined with gpu_memory_fraction="),
        ({"gpu": False, "gpu_memory_growth": True}, "gpu=False cannot be combined with gpu_memory_growth="),
        ({"gpu_memory_fraction": 0.0}, "0 is not a valid share"),
        ({"gpu_memory_fraction": 1.5}, "1.5 is not a valid share"),
        ({"gpu_memory_fraction": float("nan")}, "nan is not a valid share"),
        (
            {"gpu_memory_fraction": 0.5, "server_flags": ("--per_process_gpu_memory_fraction=0.2",)},
            "--per_process_gpu_memory_fraction cannot be combined with gpu_memory_fraction=, which sets it",
        ),
    ],
)
def test_invalid_gpu_options(changes: dict[str, Any], words: str) -> None:
    assert words in usage_error(spec, **changes).message


@pytest.mark.parametrize("name", ["a", "A", "0", "half_plus_two", "a.b-c_d", "a" * 128])
def test_valid_names(name: str) -> None:
    assert spec(name=name).name == name
    assert ModelSpec(Path("/m"), name).name == name


@pytest.mark.parametrize("name", INVALID_NAMES)
def test_invalid_names_with_a_valid_suggestion(name: str) -> None:
    assert "server name" in usage_error(spec, name=name).message
    error = usage_error(ModelSpec, Path("/m"), name)
    assert "model name" in error.message
    error.reword(option_names)
    *_, option, suggestion = shlex.split(str(error.hint))
    assert option == "--model-name"
    assert ModelSpec(Path("/m"), suggestion)


@pytest.mark.parametrize(
    ("text", "number"), [("8501", 8501), ("0", 0), ("65535", 65535), ("none", None), (" None ", None), ("08501", 8501)]
)
def test_ports(text: str, number: int | None) -> None:
    assert PortRequest.parse(text) == PortRequest(number, explicit=True)


@pytest.mark.parametrize("text", ["", "-1", "65536", "1.5", "http", "0x10", "٣", "²", "8501 8502", "1" * 5000])
def test_invalid_ports(text: str) -> None:
    assert "is not a port" in usage_error(PortRequest.parse, text).message


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("6m", 6 * 2**20),
        ("512M", 512 * 2**20),
        ("2g", 2**31),
        ("1.5gb", 3 * 2**29),
        (" 1t ", 2**40),
        ("8000000", 8000000),
    ],
)
def test_memory(text: str, amount: int) -> None:
    assert values.parse_memory(text) == amount


@pytest.mark.parametrize(
    "text", ["", "m", "2 g", "-2g", "2x", "2gib", "nan", "5m", "0", "1e9", "9" * 5000, "9" * 400 + "g"]
)
def test_invalid_memory(text: str) -> None:
    usage_error(values.parse_memory, text)


@pytest.mark.parametrize(
    ("text", "host"),
    [("localhost", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("127.0.0.2", "127.0.0.2"), ("::1", "::1"), ("0:0::1", "::1")],
)
def test_hosts(text: str, host: str) -> None:
    assert values.parse_host(text) == host


@pytest.mark.parametrize("text", ["", "example.com", "127.0.0.1:80", "127.1", "[::1]", "127.0.0.01", "$(id)"])
def test_invalid_hosts(text: str) -> None:
    assert "is not an IP address" in usage_error(values.parse_host, text).message


def test_environment() -> None:
    given = ["A=1", "B=", "C=x=y $(id)\n", "D", "A=2"]
    assert values.parse_environment(given, {"D": "4", "E": "5"}) == {"A": "2", "B": "", "C": "x=y $(id)\n", "D": "4"}


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("", "name of a variable"),
        ("=x", "name of a variable"),
        ("1A=x", "name of a variable"),
        ("A B=x", "name of a variable"),
        ("Ä=x", "name of a variable"),
        ("A=x\0", "NUL"),
        ("UNSET", "not set"),
        ("MODEL_NAME=x", "set by tfserve"),
        ("MODEL_BASE_PATH", "set by tfserve"),
    ],
)
def test_invalid_environment(assignment: str, words: str) -> None:
    assert words in usage_error(values.parse_environment, [assignment], {}).message


@pytest.mark.parametrize("policy", ["no", "always", "unless-stopped", "on-failure", "on-failure:3"])
def test_restart_policies(policy: str) -> None:
    assert spec(restart=policy).restart == policy


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"restart": "sometimes"}, "not a restart policy"),
        ({"restart": "on-failure:x"}, "not a restart policy"),
        ({"restart": "always", "remove": True}, "cannot be combined"),
        ({"cpus": 0.0}, "is not a valid number of CPUs"),
        ({"cpus": -1.0}, "is not a valid number of CPUs"),
        ({"cpus": float("nan")}, "is not a valid number of CPUs"),
        ({"cpus": float("inf")}, "is not a valid number of CPUs"),
        ({"platform": "amd64"}, "not a platform"),
        ({"platform": "linux/amd64\n"}, "not a platform"),
        ({"rest_port": PortRequest(9000), "grpc_port": PortRequest(9000)}, "cannot share port 9000"),
        ({"rest_port": PortRequest(None), "grpc_port": PortRequest(None)}, "No port is published"),
    ],
)
def test_invalid_specs(changes: dict[str, Any], words: str) -> None:
    assert words in usage_error(spec, **changes).message


@pytest.mark.parametrize(
    "changes",
    [
        {"restart": "no", "remove": True},
        {"cpus": 1.5, "platform": "linux/arm64/v8"},
        {"rest_port": PortRequest(0, explicit=True), "grpc_port": PortRequest(0, explicit=True)},
        {"rest_port": PortRequest(None, explicit=True)},
    ],
)
def test_valid_specs(changes: dict[str, Any]) -> None:
    made = spec(**changes)
    assert {name: getattr(made, name) for name in changes} == changes


def test_defaults() -> None:
    default = spec()
    assert (default.host, default.rest_port, default.grpc_port) == ("127.0.0.1", PortRequest(8501), PortRequest(8500))
    assert not default.rest_port.explicit
