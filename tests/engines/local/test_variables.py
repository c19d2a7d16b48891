"""A local server cannot be given variables that make it run code; see also the tests of `tfserve.host.programs`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.free_ports import free_ports
from tests.program import Plan, Program, assert_error
from tfserve.engines.local import state as local_state
from tfserve.engines.local.engine import LocalEngine
from tfserve.engines.local.variables import runs_code
from tfserve.errors import UsageError

DANGEROUS = """
PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT PATH HOME PYTHONINSPECT
PYTHONWARNINGS PYTHONBREAKPOINT DYLD_INSERT_LIBRARIES GLIBC_TUNABLES GCONV_PATH BASH_ENV BASH_FUNC_x ENV OPENSSL_CONF
OPENSSL_MODULES TF_PLUGGABLE_DEVICE_LIBRARY_PATH INTEL_LIBITTNOTIFY64 OMP_TOOL_LIBRARIES CUDA_INJECTION64_PATH
JAVA_TOOL_OPTIONS PERL5OPT TPU_LIBRARY_PATH
"""
HARMLESS = """
TF_CPP_MIN_LOG_LEVEL TF_XLA_FLAGS XLA_FLAGS OMP_NUM_THREADS KMP_AFFINITY MALLOC_ARENA_MAX TZ AWS_REGION S3_ENDPOINT
GREETING CUDA_VISIBLE_DEVICES GRPC_VERBOSITY TF_ENABLE_ONEDNN_OPTS TOKEN MY_PATH HOMEPAGE HTTPS_PROXY
OPENBLAS_NUM_THREADS LANG MY_PYTHON ENVIRONMENT
"""


@pytest.mark.parametrize("name", DANGEROUS.split())
def test_variables_that_run_code(name: str, tfserve: Program, half_plus_two: Path) -> None:
    assert runs_code(name)
    if name in DANGEROUS.split()[:9:2]:
        done = tfserve("run", half_plus_two, "--engine", "local", "-e", f"{name}=/evil", "--dry-run")
        assert_error(done, 2, f"The local engine does not set {name}", f"export {name}=", "--env")


@pytest.mark.parametrize("name", HARMLESS.split())
def test_other_variables(name: str) -> None:
    assert not runs_code(name)


@pytest.mark.parametrize("text", ["{PYTHONPATH: /evil}", "[PYTHONPATH=/evil]", "{A: b, LD_PRELOAD: ./evil.so}"])
@pytest.mark.parametrize("engine", ["local", "auto"])
def test_variables_of_a_file(text: str, engine: str, tfserve: Program, half_plus_two: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "orjson.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')")
    port, text = free_ports(1)[0], text.replace("/evil", str(evil))
    file = tmp_path / "f.yaml"
    fields = f"    engine: {engine}\n    rest_port: {port}\n    models: [{half_plus_two}]\n    env: {text}\n"
    file.write_text(f"servers:\n  web:\n{fields}")
    for command in (("up",), ("up", "--dry-run")):
        done = tfserve(*command, "-f", file)
        assert done.returncode == (2 if engine == "local" else 4)
        if engine == "local":
            assert f"{file}, line 6, servers.web.env" in done.stderr
            assert "export" in done.stderr
    assert not (tmp_path / "mark").exists()
    assert tfserve.json("ps") == []


def test_a_record_of_an_earlier_version(engine: LocalEngine, python_plan: Plan) -> None:
    local_state.create(python_plan("pass", environment={"LD_PRELOAD": "/evil.so"}))
    (server,) = engine.servers()
    with pytest.raises(UsageError, match="LD_PRELOAD"):
        server.start()
