from __future__ import annotations

from tests.program import Program, assert_error
from tfserve.protos.own_server_flags import ALL_FLAGS_BY_NAME, OWN_FLAGS


def test_all_flags(tfserve: Program) -> None:
    head, *rows = tfserve("flags").stdout.splitlines()
    assert head.split() == ["FLAG", "TYPE", "DEFAULT", "HELP"]
    assert [row.split()[0] for row in rows] == [f"--{name}" for name in ALL_FLAGS_BY_NAME]
    assert "--rest_api_num_threads                         int32   CPUs " in "\n".join(rows)


def test_flags_that_contain_a_word(tfserve: Program) -> None:
    found = tfserve.json("flags", "Monitoring-config")
    assert found == [
        {
            "name": "monitoring_config_file",
            "type": "string",
            "default": "",
            "help": "Text file of MonitoringConfig: Prometheus metrics.",
            "official": True,
        }
    ]
    assert_error(tfserve("flags", "enable_bacthing"), 2, "No flag contains 'enable_bacthing'", "enable_batching?")


def test_flags_of_the_own_server(tfserve: Program) -> None:
    listed = tfserve("flags").stdout.splitlines()
    for flag in OWN_FLAGS:
        (line,) = [line for line in listed if line.startswith(f"--{flag.name} ")]
        assert line.endswith("Only tfserve-model-server has this flag.")
