"""``tfserve up`` and ``down`` with containers: two servers of one file, with all that becomes files in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from .conftest import Tfserve
from .test_dry_run import HALF_PLUS_TWO


def test_two_servers_of_one_file(tfserve: Tfserve, unique_name: Callable[[], str], tmp_path: Path) -> None:
    one, two = unique_name(), unique_name()
    file = tmp_path / "tfserve.yaml"
    text = f"""
defaults: {{engine: docker, rest_port: 0, grpc_port: 0}}
servers:
  {one}:
    models: [{{path: {HALF_PLUS_TWO}, name: a}}, {{path: {HALF_PLUS_TWO}, name: b, labels: {{stable: 1}}}}]
    monitoring: {{path: /metrics}}
    batching: {{max_batch_size: 8, batch_timeout_micros: 100, allowed_batch_sizes: [4, 8]}}
  {two}:
    models: [{HALF_PLUS_TWO}]
    env: {{GREETING: "${{GREETING:-hello}}"}}
    memory: 1g
"""
    file.write_text(text)

    def up(**environment: str) -> dict[str, Any]:
        done = tfserve("up", "--json", env=environment)
        assert done.returncode == 0, done.stderr
        return {server["name"]: server for server in json.loads(done.stdout)}

    first = up()
    assert {name: server["action"] for name, server in first.items()} == {one: "create", two: "create"}
    url = first[one]["rest_url"]
    assert "# TYPE" in requests.get(f"{url}/metrics", timeout=10).text
    answer = requests.post(f"{url}/v1/models/b/labels/stable:predict", json={"instances": [1.0]}, timeout=10)
    assert answer.json() == {"predictions": [2.5]}
    again = up()
    assert {name: server["action"] for name, server in again.items()} == {one: "leave", two: "leave"}
    changed = up(GREETING="good morning")
    assert {name: server["action"] for name, server in changed.items()} == {one: "leave", two: "recreate"}
    ids = {name: server["container_id"] for name, server in changed.items()}
    assert ids[one] == first[one]["container_id"]
    assert ids[two] != first[two]["container_id"]
    assert tfserve("stop", one).returncode == 0
    file.write_text(text.replace("memory: 1g", "memory: 2g"))
    dry = tfserve("up", "--dry-run")
    assert f"# {one}: start\n# {two}: recreate (env, memory changed)\ndocker run" in dry.stdout
    down = tfserve("down", "--json")
    assert sorted(json.loads(down.stdout)) == sorted([one, two])
