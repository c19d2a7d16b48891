from __future__ import annotations

import pytest

from tfserve.model_server.flags import FLAGS_WITHOUT_EFFECT, parse, usage
from tfserve.plan.process import FILES_WITHOUT_EFFECT
from tfserve.protos.own_server_flags import OWN_FLAGS
from tfserve.protos.server_flags import SERVER_FLAGS, SERVER_FLAGS_BY_NAME

TYPES = {"bool": bool, "int32": int, "int64": int, "float": float, "string": str}


def test_every_official_flag_has_a_default_of_its_type() -> None:
    assert len(SERVER_FLAGS) == len(SERVER_FLAGS_BY_NAME) == 48
    for flag in SERVER_FLAGS:
        assert flag.default is None or type(flag.default) is TYPES[flag.type], flag
        assert flag.help.endswith(".") and "\n" not in flag.help


def test_own_flags_do_not_hide_official_ones() -> None:
    assert not {flag.name for flag in OWN_FLAGS} & SERVER_FLAGS_BY_NAME.keys()


def test_defaults() -> None:
    line = parse([])
    assert (line.options.port, line.options.rest_api_port, line.options.model_name) == (8500, 0, "default")
    assert line.options.bind_address == "0.0.0.0"
    assert (line.options.model_base_path, line.options.model_config_file) == ("", "")
    assert (line.unknown, line.errors, line.ignored) == ([], [], [])


def test_values_of_every_type() -> None:
    line = parse(
        [
            "--port=1",
            "--rest_api_port= +2",
            "--model_name=a=b",
            "--saved_model_tags=serve,gpu",
            "--load_retry_interval_micros=-5000000000",
            "--version",
            "--port=3",
        ]
    )
    assert (line.options.port, line.options.rest_api_port) == (3, 2)
    assert line.options.model_name == "a=b"
    assert line.options.saved_model_tags == ("serve", "gpu")
    for tags in ("", "serve,", ","):
        assert parse([f"--saved_model_tags={tags}"]).options.saved_model_tags == ("serve",)
    assert line.options.load_retry_interval_micros == -5_000_000_000
    assert line.options.version
    assert not line.errors


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("enable_batching", "true", True),
        ("enable_batching", "false", False),
        *(("enable_batching", text, None) for text in ("", "1", "TRUE", "yes", " true")),
        ("port", " \t\n+2", 2),
        ("port", "-2147483648", -(1 << 31)),
        ("port", "007", 7),
        *(
            ("port", text, None)
            for text in ("", " ", "1 ", "1\n", "- 1", "1_0", "0x10", "1.5", "1e3", "٣", "\xa01", "1\0")
        ),
        *(("port", text, None) for text in ("2147483648", "-2147483649", "9" * 5000)),
        ("load_retry_interval_micros", "9223372036854775807", (1 << 63) - 1),
        ("load_retry_interval_micros", "9223372036854775808", None),
        ("per_process_gpu_memory_fraction", " .5", 0.5),
        ("per_process_gpu_memory_fraction", "-5.", -5.0),
        ("per_process_gpu_memory_fraction", "25E-2", 0.25),
        ("per_process_gpu_memory_fraction", "1e999", float("inf")),
        ("per_process_gpu_memory_fraction", "Infinity", float("inf")),
        *(("per_process_gpu_memory_fraction", text, None) for text in ("", ".", "1e", "0_1", "0.5 ", "half", "٣")),
        ("model_name", " a=b\n", " a=b\n"),
        ("model_name", "", ""),
        ("model_name", "a\0", None),
    ],
)
def test_the_grammar_of_values(name: str, text: str, value: object) -> None:
    read = SERVER_FLAGS_BY_NAME[name].parse(text)
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize(
    "argument",
    ["--port=", "--port=1.5", "--port=x", "--port=2147483648", "--version=yes", "--per_process_gpu_memory_fraction=a"],
)
def test_a_value_that_cannot_be_parsed_is_an_error(argument: str) -> None:
    name, _, value = argument.removeprefix("--").partition("=")
    assert parse([argument]).errors == [f"Couldn't interpret value {value} for flag {name}."]


@pytest.mark.parametrize("argument", ["--no_such_flag=1", "-port=1", "port=1", "--port", "8500", "--versions", ""])
def test_arguments_that_are_not_flags_are_left_over(argument: str) -> None:
    assert parse(["--model_name=a", argument]).unknown == [argument]


def test_two_dashes_end_the_flags() -> None:
    line = parse(["--port=1", "--", "--port=2"])
    assert line.options.port == 1
    assert line.unknown == ["--", "--port=2"]


def test_flags_without_effect_are_reported_only_when_set() -> None:
    line = parse(["--skip_initialize_tpu", "--enable_profiler=true", "--grpc_max_threads=3", "--port=1"])
    assert line.ignored == ["grpc_max_threads", "skip_initialize_tpu"]


def test_usage_names_every_flag_with_its_default() -> None:
    text = usage()
    assert text.startswith("usage: tfserve-model-server\nFlags:\n")
    assert '\t--model_name="default"' in text
    assert "\t--port=8500 " in text
    assert "\t--enable_batching=false" in text
    marked = {
        line.split("=")[0].strip(" \t-") for line in text.splitlines() if line.endswith("No effect in this server.")
    }
    assert marked == set(FLAGS_WITHOUT_EFFECT)
    assert {flag.name for flag in SERVER_FLAGS if flag.file and flag.name in marked} == set(FILES_WITHOUT_EFFECT)
    assert len(text.splitlines()) == 2 + len(SERVER_FLAGS) + len(OWN_FLAGS)
