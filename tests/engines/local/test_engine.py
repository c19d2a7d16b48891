from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.program import Plan, eventually
from tfserve.engines.base import Exit
from tfserve.engines.local import state as local_state
from tfserve.engines.local.engine import LocalEngine
from tfserve.engines.local.server import LocalServer
from tfserve.errors import EngineUnavailableError, NameTakenError, NotReadyError, PortTakenError
from tfserve.plan.launch_plan import PublishedPort

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def found(engine: LocalEngine, name: str = "m") -> LocalServer:
    server = engine.find(name)
    assert server is not None
    return server


def ended(engine: LocalEngine, name: str = "m") -> LocalServer:
    eventually(lambda: not found(engine, name).running)
    return found(engine, name)


def record_of(name: str = "m") -> local_state.Record:
    record = local_state.directory_of(name).read()
    assert record is not None
    return record


def is_process(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return True


def test_launch(engine: LocalEngine, python_plan: Plan) -> None:
    rest, grpc = PublishedPort(8501, "0.0.0.0", 8501), PublishedPort(8500, "::", 8500)
    server = engine.launch(python_plan(rest=rest, grpc=grpc))
    assert (server.name, server.engine.name, server.state, server.models) == ("m", "local", "running", ("m",))
    assert (server.rest_url, server.grpc_address) == ("http://127.0.0.1:8501", "[::1]:8500")
    assert (server.image, server.container_id, server.gpu, server.exit) == (None, None, False, None)
    assert is_process(server.pid)
    assert [server] == engine.servers()
    assert engine.find("m") == server
    assert LocalEngine().servers() == [server]  # as in another process


def test_the_process_gets_the_environment_of_the_plan(engine: LocalEngine, python_plan: Plan) -> None:
    program = "import os, sys; print(os.environ['A'], sys.stdin.read(), os.getsid(0) == os.getpid(), file=sys.stderr)"
    engine.launch(python_plan(program, environment={"A": "$(id) ä\n"}))
    assert list(ended(engine).logs()) == ["$(id) ä", "  True"]


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(255)", 255),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.kill(os.getpid(), 4)", 132),
    ],
)
def test_exit_codes(engine: LocalEngine, python_plan: Plan, program: str, code: int) -> None:
    engine.launch(python_plan(program))
    server = ended(engine)
    assert (server.state, server.exit) == ("exited", Exit(code))
    assert (server.pid, server.rest_url, server.grpc_address) == (None, None, None)
    assert LocalEngine().find("m") == dataclasses.replace(server, exit=Exit(None))  # only its parent knows the code


@pytest.mark.parametrize("name", ["", ".", "..", ".replaced-m", "a/b", "../m", "a\0b", "other"])
def test_names_that_no_server_has(engine: LocalEngine, python_plan: Plan, name: str) -> None:
    engine.launch(python_plan())
    assert engine.find(name) is None


def test_a_stopped_server_keeps_its_name(engine: LocalEngine, python_plan: Plan) -> None:
    server = engine.launch(python_plan())
    for _ in range(2):
        with pytest.raises(NameTakenError):
            engine.launch(python_plan())
        server.stop(grace=10)


def test_two_at_the_same_moment(engine: LocalEngine, python_plan: Plan) -> None:
    def launch(_: int) -> bool:
        try:
            engine.launch(python_plan())
        except NameTakenError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(launch, range(4))) == 1
    assert found(engine).running


def test_a_program_that_cannot_be_started_leaves_nothing(engine: LocalEngine, python_plan: Plan) -> None:
    with pytest.raises(NotReadyError, match=r"'/no/such/program' could not be started: No such file"):
        engine.launch(python_plan(command=("/no/such/program",)))
    assert list(local_state.servers_root().iterdir()) == []


def test_a_program_for_another_cpu_is_explained(engine: LocalEngine, python_plan: Plan, tmp_path: Path) -> None:
    foreign = bytearray(Path(sys.executable).read_bytes())
    foreign[18:20] = bytes(2)  # e_machine, of the ELF specification: that of none
    program = tmp_path / "tensorflow_model_server"
    program.write_bytes(foreign)
    program.chmod(0o755)
    with pytest.raises(NotReadyError, match=r"Exec format error\. The program is for another platform") as caught:
        engine.launch(python_plan(command=(str(program),)))
    assert "tensorflow-model-server-universal" in str(caught.value.hint)
    assert caught.value.doctor
    assert list(local_state.servers_root().iterdir()) == []


def test_a_record_that_cannot_be_written_leaves_no_process(engine: LocalEngine, python_plan: Plan) -> None:
    directory = local_state.create(python_plan())
    draft = directory.path / f".server.json.{os.getpid()}"
    draft.mkdir()  # where the new record would be written
    with pytest.raises(OSError):
        found(engine).start()
    assert not directory.is_alive()
    draft.rmdir()
    assert found(engine).start().running


def test_stop_and_start(engine: LocalEngine, python_plan: Plan) -> None:
    first = engine.launch(python_plan("import time; print('up', flush=True); time.sleep(60)"))
    eventually(lambda: list(first.logs()) == ["up"])
    first.stop(grace=10)
    stopped = found(LocalEngine())
    assert (stopped.state, stopped.exit) == ("exited", Exit(0))
    assert not is_process(first.pid)
    again = stopped.start()
    assert again.running
    assert again.pid != first.pid
    assert again.created == first.created
    eventually(lambda: list(again.logs()) == ["up", "up"])
    with pytest.raises(NameTakenError):
        again.start()


def test_stop_kills_the_server_after_the_grace_period(engine: LocalEngine, python_plan: Plan) -> None:
    for grace in (0.1, 0):
        server = engine.launch(python_plan(STUBBORN))
        eventually(lambda: "deaf" in found(engine).logs())
        server.stop(grace=grace)
        assert not is_process(server.pid)
        found(engine).remove()


def test_stop_terminates_the_children_of_the_server(engine: LocalEngine, python_plan: Plan) -> None:
    child = "trap 'echo child ended; exit' TERM; echo up; while :; do sleep 0.05; done"
    server = engine.launch(python_plan(f'import subprocess; subprocess.call(["sh", "-c", {child!r}])'))
    eventually(lambda: "up" in server.logs())
    server.stop(grace=10)
    eventually(lambda: "child ended" in server.logs())


def test_a_server_that_is_removed_when_it_stops(engine: LocalEngine, python_plan: Plan) -> None:
    server = engine.launch(python_plan(remove=True))
    server.stop(grace=10)
    assert not local_state.directory_of("m").path.exists()
    engine.launch(python_plan("import time; time.sleep(0.2)", remove=True))
    eventually(lambda: engine.find("m") is None)  # a server that has exited is removed when the servers are listed
    assert not local_state.directory_of("m").path.exists()


def test_remove(engine: LocalEngine, python_plan: Plan) -> None:
    server = engine.launch(python_plan(STUBBORN))
    server.remove()
    assert not is_process(server.pid)
    assert engine.servers() == []
    server.remove()  # again, without effect
    server.stop(grace=0)
    assert list(server.logs(follow=True)) == []


def test_logs_are_followed_until_the_end(engine: LocalEngine, python_plan: Plan) -> None:
    program = "import time; print('one', flush=True); time.sleep(0.2); print('two')"
    server = engine.launch(python_plan(program))
    assert list(server.logs(follow=True)) == ["one", "two"]


def test_a_dead_pid(engine: LocalEngine, python_plan: Plan) -> None:
    server = engine.launch(python_plan())
    os.kill(server.pid or 0, signal.SIGKILL)
    assert ended(engine).state == "exited"
    assert found(LocalEngine()).state == "exited"


def test_a_reused_pid_is_never_signaled(engine: LocalEngine, python_plan: Plan) -> None:
    server = engine.launch(python_plan(""))
    ended(engine)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as stranger:
        directory = local_state.directory_of("m")
        directory.write(dataclasses.replace(record_of(), pid=stranger.pid))
        assert found(engine).state == "exited"
        server.stop(grace=0)
        server.remove()
        assert stranger.poll() is None
        stranger.communicate(b"\n")
        assert stranger.returncode == 0


def test_a_server_without_a_process_group_yet_is_killed(engine: LocalEngine, python_plan: Plan) -> None:
    """As after a fork a moment ago: if it is removed then, after an interrupt, nothing is left behind."""
    engine.launch(python_plan(""))
    server = ended(engine)
    directory = local_state.directory_of("m")
    lock = directory.take_lock()
    assert lock is not None
    program = "import os, time; time.sleep(0.2); os.setsid(); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-S", "-c", program], pass_fds=[lock]) as forked:
        os.close(lock)
        directory.write(dataclasses.replace(record_of(), pid=forked.pid))
        server.remove()
        assert forked.wait(timeout=10) == -signal.SIGKILL
    assert engine.servers() == []


def test_suspend_and_restore(engine: LocalEngine, python_plan: Plan) -> None:
    old = engine.launch(python_plan("import time; print('old', flush=True); time.sleep(60)"))
    eventually(lambda: list(old.logs()))
    suspended = old.suspend(grace=10)
    assert not is_process(old.pid)
    assert engine.servers() == []
    new = engine.launch(python_plan())
    new.remove()
    suspended.restore(old)
    back = found(engine)
    assert back.running
    assert (back.name, back.created) == (old.name, old.created)
    eventually(lambda: list(back.logs()) == ["old", "old"])


def test_a_stopped_server_is_restored_stopped(engine: LocalEngine, python_plan: Plan) -> None:
    engine.launch(python_plan(""))
    old = ended(engine)
    suspended = old.suspend(grace=10)
    suspended.restore(old)
    assert not found(engine).running


def test_a_suspended_server_can_be_removed(engine: LocalEngine, python_plan: Plan) -> None:
    old = engine.launch(python_plan())
    suspended = old.suspend(grace=10)
    new = engine.launch(python_plan())
    suspended.remove()
    assert engine.servers() == [new]
    assert sorted(path.name for path in local_state.servers_root().iterdir()) == ["m"]


def test_a_server_left_suspended_by_a_killed_command_is_removed_with_its_successor(
    engine: LocalEngine, python_plan: Plan
) -> None:
    suspended = engine.launch(python_plan()).suspend(grace=10)
    directory = local_state.directory_of(suspended.name).path
    engine.launch(python_plan()).remove()
    assert directory.exists()  # it is to be restored
    program = "from tfserve.engines.local.engine import LocalEngine; e = LocalEngine(); e.find('m').remove()"
    engine.launch(python_plan())
    subprocess.run([sys.executable, "-c", program], check=True)
    assert not directory.exists()


def test_a_port_taken_since_it_was_stopped(engine: LocalEngine, python_plan: Plan) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        engine.launch(python_plan("", rest=PublishedPort(port, "127.0.0.1", port)))
        with pytest.raises(PortTakenError, match=f"Port {port} on 127.0.0.1 is taken"):
            ended(engine).start()
        assert not found(engine).running
    found(engine).start()


def test_start_after_the_server_was_removed(engine: LocalEngine, python_plan: Plan) -> None:
    server = engine.launch(python_plan(""))
    ended(engine)
    shutil.rmtree(local_state.directory_of("m").path)
    with pytest.raises(NotReadyError, match="missing or damaged"):
        server.start()


def test_without_a_state_directory(engine: LocalEngine, python_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/state")
    assert engine.servers() == []
    with pytest.raises(EngineUnavailableError):
        engine.launch(python_plan())


def test_secrets_reach_the_process_and_no_file(engine: LocalEngine, python_plan: Plan) -> None:
    program = "import os, time; print(len(os.environ['KEY']), flush=True); time.sleep(60)"
    server = engine.launch(python_plan(program, secrets={"KEY": "s3cret" * 7}))
    eventually(lambda: list(server.logs()) == ["42"])
    files = [path for path in local_state.directory_of("m").path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not any(b"s3cret" in path.read_bytes() for path in files)
