from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.errors import UsageError
from tfserve.protos.server_flags import SERVER_FLAGS
from tfserve.spec.server_flags import (
    SET_BY_TFSERVE,
    FlagFile,
    check_flag_files,
    flag_files,
    flag_value,
    parse_server_flags,
)


def flag_error(flags: list[str]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_server_flags(flags)
    return caught.value


def file_error(file: Path, flag: str = "batching_parameters_file") -> UsageError:
    with pytest.raises(UsageError) as caught:
        check_flag_files([f"--{flag}={file}"])
    return caught.value


@pytest.mark.parametrize(
    "flag",
    [
        "--enable_batching=true",
        "--enable_batching=false",
        "--num_load_threads=-1",
        "--load_retry_interval_micros=60000000000",
        "--per_process_gpu_memory_fraction=0.5",
        "--saved_model_tags=serve,gpu",
        "--saved_model_tags=",
        "--monitoring_config_file=/a b/$(id)",
        "--rest_api_allowed_hosts=models.example",
        "--rest_api_max_body_bytes=1",
    ],
)
def test_valid_flags(flag: str) -> None:
    assert parse_server_flags([flag]) == (flag,)


@pytest.mark.parametrize(
    ("flag", "message", "hint"),
    [
        ("x", "is not a server flag", "--name=value"),
        ("-v", "is not a server flag", "--name=value"),
        ("--enable_bacthing=true", "no flag --enable_bacthing", "--enable_batching?"),
        ("--zzzzzzzz", "no flag --zzzzzzzz", "tfserve flags"),
        ("--", "no flag", "tfserve flags"),
        ("--port=1", "set by tfserve", "grpc_port="),
        ("--config_reload_socket_path=/a", "set by tfserve", "reload_over_tcp="),
        ("--rest_api_port=1", "set by tfserve", "rest_port="),
        ("--model_name=m", "set by tfserve", "model_name="),
        ("--model_base_path=/m", "set by tfserve", "model="),
        ("--model_config_file=/m", "set by tfserve", "config="),
        ("--bind_address=::", "set by tfserve", "host="),
        ("--num_load_threads", "needs a value", "--num_load_threads=VALUE"),
        ("--num_load_threads=two", "type int32", "Threads"),
        ("--num_load_threads=", "type int32", "Threads"),
        ("--num_load_threads=1.5", "type int32", "Threads"),
        ("--num_load_threads=1_0", "type int32", "Threads"),
        ("--num_load_threads=2147483648", "type int32", "Threads"),
        ("--num_load_threads=" + "1" * 5000, "type int32", "Threads"),
        ("--load_retry_interval_micros=9223372036854775808", "type int64", "Microseconds"),
        ("--per_process_gpu_memory_fraction=half", "type float", "GPU"),
        ("--per_process_gpu_memory_fraction=0_1", "type float", "GPU"),
        ("--enable_batching=yes", "type bool", "batch"),
        ("--enable_batching=TRUE", "type bool", "batch"),
        ("--enable_batching=1", "type bool", "batch"),
    ],
)
def test_invalid_flags(flag: str, message: str, hint: str) -> None:
    error = flag_error([flag])
    assert message in error.message
    assert hint in str(error.hint)


def test_every_flag_accepts_its_default() -> None:
    for flag in SERVER_FLAGS:
        if flag.name not in SET_BY_TFSERVE and flag.default is not None:
            value = str(flag.default).lower() if flag.type == "bool" else flag.default
            assert parse_server_flags([f"--{flag.name}={value}"])


def test_flags_are_unique_and_have_values() -> None:
    given = ["--enable_batching", "--num_load_threads=1", "--enable_batching=false", "--num_load_threads=2"]
    assert parse_server_flags(given) == ("--enable_batching=false", "--num_load_threads=2")
    assert parse_server_flags(["--enable_batching"]) == ("--enable_batching=true",)


def test_last_value_is_used() -> None:
    flags = ["--saved_model_tags=a", "--enable_batching", "--saved_model_tags=b=c"]
    assert flag_value(flags, "saved_model_tags") == "b=c"
    assert flag_value(flags, "mixed_precision") is None


def test_relative_paths_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = [
        "--ssl_config_file=a/b",
        "--monitoring_config_file=/c",
        "--batching_parameters_file=",
        "--mixed_precision=",
    ]
    assert parse_server_flags(given, Path("/d")) == ("--ssl_config_file=/d/a/b", *given[1:])
    flags = parse_server_flags(given, Path())
    assert list(flag_files(flags)) == [
        FlagFile("ssl_config_file", tmp_path / "a/b"),
        FlagFile("monitoring_config_file", Path("/c")),
    ]


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("batching_parameters_file", "max_batch_size { value: 8 }"),
        ("monitoring_config_file", "prometheus_config { enable: true }"),
        ("ssl_config_file", 'server_key: "k" server_cert: "c"'),
        ("tensorflow_session_config_file", "intra_op_parallelism_threads: 2"),
        ("thread_pool_factory_config_file", "only the server { knows"),
    ],
)
def test_valid_files(flag: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    check_flag_files([f"--{flag}={tmp_path / 'file'}"])


def test_help_of_flags_for_files() -> None:
    named = {flag.name for flag in SERVER_FLAGS if flag.help.startswith("Text file of")}
    assert {flag.name for flag in SERVER_FLAGS if flag.file} == named


def test_errors_in_files_have_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "b.pbtxt"
    file.write_text("max_batch_size { value: 8 }\n  max_bacth: 1")
    error = file_error(file)
    assert f"{str(file)!r}, line 2, column 3: " in error.message
    assert "max_bacth" in error.message
    assert "BatchingParameters" in str(error.hint)


def test_unreadable_files(tmp_path: Path) -> None:
    assert "does not exist" in file_error(tmp_path / "none").message
    assert "is not a file" in file_error(tmp_path).message
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in file_error(tmp_path / "pipe").message
    (tmp_path / "empty").touch()
    assert "is empty" in file_error(tmp_path / "empty").message
    assert str(tmp_path) in file_error(tmp_path / ("a" * 300)).message
    with (tmp_path / "big").open("wb") as big:
        big.truncate(17 << 20)
    assert "larger than 16 MiB" in file_error(tmp_path / "big").message


@given(st.binary(min_size=1, max_size=80))
def test_any_file(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_bytes(text)
    try:
        check_flag_files([f"--monitoring_config_file={file}"])
    except UsageError as error:
        assert str(file) in error.message
