from __future__ import annotations

from tests.cli.conftest import Served
from tests.program import Program, assert_error


def test_ps_and_status_agree_with_run(served: Served) -> None:
    expected = {key: value for key, value in served.document.items() if key != "smoke_test"}
    assert served.tfserve.json("ps") == [expected]
    assert served.tfserve.json("status") == expected
    assert served.tfserve.json("status", "half_plus_two") == expected


def test_ps_as_text(served: Served) -> None:
    head, row = served.tfserve("ps").stdout.splitlines()
    assert head.split() == ["NAME", "ENGINE", "STATE", "HEALTH", "MODELS", "REST", "GRPC"]
    url, address = served.document["rest_url"], served.document["grpc_address"]
    assert row.split() == ["half_plus_two", "local", "running", "available", "half_plus_two", url, address]
    assert head.index("REST") == row.index(url)


def test_status_as_text(served: Served) -> None:
    lines = served.tfserve("status").stdout.splitlines()
    assert lines[0] == "half_plus_two: running, available"
    assert f"  REST     {served.document['rest_url']}" in lines
    assert f"  pid      {served.document['pid']}" in lines
    assert "  model    half_plus_two: version 1 AVAILABLE" in lines


def test_no_server(tfserve: Program) -> None:
    assert tfserve.json("ps") == []
    done = tfserve("ps")
    assert (done.returncode, done.stdout) == (0, "There is no server. Start one: tfserve run MODEL_DIR\n")
    assert_error(tfserve("status"), 10, "There is no server.", "tfserve run")


def test_docker_is_not_available(tfserve: Program) -> None:
    assert_error(tfserve("ps", "--engine", "docker"), 4, "No Docker Engine answers")
    assert_error(tfserve("status", "m", "--engine", "docker"), 4, "No Docker Engine answers")
