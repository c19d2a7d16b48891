"""What the process of a local server can use: its program, its models and a few files of the system, and no more.

A model is a program. What the kernel does not let it use, it cannot read, change or reach, even as root. The list of
the system's files is what the C library, Python, TensorFlow and gRPC open when they start; strace shows them.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.addresses import is_loopback
from tfserve.engines.local.model_paths import open_model, open_named
from tfserve.engines.local.runtime import OWN_COMMAND
from tfserve.engines.local.state import STATE_VARIABLE, state_errors
from tfserve.errors import Attribute, EngineUnavailableError, TfserveError, Wording
from tfserve.host.landlock import Allowed, Right, landlock_abi, ruleset_of
from tfserve.host.private import make_private
from tfserve.host.removal import remove_tree
from tfserve.host.unix_sockets import remove_stale

if TYPE_CHECKING:
    from tfserve.engines.local.process import Start
    from tfserve.plan.launch_plan import LaunchPlan

__all__ = ["allowed", "sandboxed"]

_CONFIG_FLAG = "--model_config_file"
_TEMPORARY = "tmp"
_WRITE = Right.WRITE_FILE | Right.READ_FILE
_SOCKETS = Right.READ_DIR | Right.MAKE_SOCK | Right.REMOVE_FILE
_LIBRARIES = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/local/lib"),
    *("/nix/store", "/gnu/store", "/home/linuxbrew/.linuxbrew"),
)
_PROGRAMS = ("/bin", "/usr/bin", "/usr/local/bin")
_SYSTEM_FILES = (
    *("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/ssl/openssl.cnf"),
    *("/usr/share/locale", "/usr/share/zoneinfo"),
    *("/dev/random", "/dev/urandom", "/dev/zero"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/net/core/somaxconn", "/proc/sys/vm/overcommit_memory"),
    *("/sys/bus/cpu", "/sys/bus/node", "/sys/devices/system/cpu", "/sys/devices/system/node"),
    *("/sys/kernel/mm/hugepages", "/sys/kernel/mm/transparent_hugepage"),
)
_FILES_FOR_CONNECTIONS = (
    *("/etc/gai.conf", "/etc/host.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/services"),
    *("/etc/pki", "/etc/ssl/certs", "/usr/local/share/ca-certificates", "/usr/share/ca-certificates"),
)
_PACKAGES = (
    *("tensorflow", "numpy", "orjson", "httptools", "uvloop", "ai_edge_litert", "nvidia", "google", "google_crc32c"),
    *("grpc", "grpc_health", "ml_dtypes", "typing_extensions"),
)


@contextmanager
def sandboxed(start: Start, plan: LaunchPlan) -> Iterator[Start]:
    """Adds the sandbox of `plan` to the start of a process, while the block runs.

    Creates the directory for its temporary files, and removes what an earlier process left and this one cannot remove.

    Raises:
        EngineUnavailableError: a directory cannot be created, or the kernel refuses.
    """
    temporary = start.directory / _TEMPORARY
    remove_tree(temporary, ignore_errors=True)  # of an earlier process
    with state_errors(start.directory):
        make_private(temporary, STATE_VARIABLE)
    for path in plan.sandbox.sockets if plan.sandbox else ():
        with suppress(OSError):  # such as a process that listens there
            remove_stale(Path(path))
    abi = landlock_abi()
    with ExitStack() as opened:
        what = allowed(plan, start.directory, start.environment, opened) if abi else Allowed(())
        try:
            ruleset = opened.enter_context(ruleset_of(what, abi))
        except OSError as error:
            raise _refused(error) from error
        yield replace(start, ruleset=ruleset, temporary=temporary)


def _refused(error: OSError) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"The sandbox of the server cannot be set up: the kernel refused its rules ({error.strerror}).",
        hint=Wording(
            "If you trust the model, serve it without a sandbox: {unsandboxed}",
            unsandboxed=Attribute("unsandboxed", value=True),
        ),
    )


def allowed(plan: LaunchPlan, directory: Path, environment: Mapping[str, str], opened: ExitStack) -> Allowed:
    """Returns what a process of `plan` can use.

    Args:
        plan: the plan, which has a sandbox.
        directory: the directory of the server.
        environment: the variables of the process.
        opened: closes the descriptors of models.
    """
    sandbox = plan.sandbox
    assert sandbox is not None  # noqa: S101 - for mypy
    published = [port for port in (plan.rest, plan.grpc) if port is not None]
    ports = {port.server_port for port in published}
    if any(not is_loopback(port.host) or ":" in port.host for port in published):
        ports.add(0)  # gRPC tries out whether it can use IPv6
    files: list[tuple[Path | int, Right]] = [
        *_program(plan.command[0]),
        *_libraries(environment),
        *((Path(path), Right.READ) for path in _SYSTEM_FILES),
        (Path("/dev/null"), _WRITE),
        *((Path(path), Right.READ) for path in plan.files),
        (directory / "models", Right.READ),
        (directory / _TEMPORARY, Right.WRITE),
        *((Path(path).parent, Right.MAKE_SOCK) for path in sandbox.sockets),
    ]
    base_paths = (*(Path(mount.source) for mount in plan.mounts), *_configured(plan))
    for descriptor in (*chain.from_iterable(map(open_model, base_paths)), *open_named(sandbox.read)):
        opened.callback(os.close, descriptor)
        files.append((descriptor, Right.READ))
    if plan.reload_socket:
        files.append((Path(plan.reload_socket).parent, _SOCKETS))
    if sandbox.connect:
        files += [(Path(path), Right.READ) for path in _FILES_FOR_CONNECTIONS]
    if tuple(plan.command[: len(OWN_COMMAND)]) == OWN_COMMAND:  # it gives up its rights itself, and starts no programs
        files = [(path, rights & ~Right.EXECUTE) for path, rights in files]
    return Allowed(files, sorted(ports), sandbox.connect)


def _configured(plan: LaunchPlan) -> Iterator[Path]:
    """Yields the base paths in the user's own ``models.config``, which may have changed since the plan was made."""
    for flag in plan.command:
        name, _, path = flag.partition("=")
        if name == _CONFIG_FLAG and path not in plan.files:
            from tfserve.spec.models_config import read_models_config

            with suppress(TfserveError):  # the server reports what is wrong with it
                yield from (Path(str(model.path)) for model in read_models_config(Path(path)) if not model.is_remote)


def _libraries(environment: Mapping[str, str]) -> Iterator[tuple[Path, Right]]:
    named = environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    preloaded = environment.get("LD_PRELOAD", "").replace(":", " ").split(" ")
    for path in (*_LIBRARIES, *filter(os.path.isabs, (*named, *preloaded))):
        yield Path(path), Right.RUN


def _program(program: str) -> Iterator[tuple[Path, Right]]:
    """Yields the files of a program: of Python, of another program, or of a script, which can start other programs."""
    if program == sys.executable:
        yield from _python()
        return
    path = Path(program)
    yield path, Right.RUN
    with suppress(OSError):
        yield path.resolve().parent.parent / "lib", Right.RUN
        with path.open("rb") as file:
            if file.read(2) != b"#!":
                return
    yield from ((Path(directory), Right.RUN) for directory in _PROGRAMS)
    yield from _python()


def _python() -> Iterator[tuple[Path, Right]]:
    """Yields the files of this interpreter, and of the packages that the model server needs.

    A directory of packages beside other files, as on PYTHONPATH, can be listed with all below it, but not read.
    """
    yield Path(sys.executable), Right.RUN
    yield Path(sys.prefix, "pyvenv.cfg"), Right.READ
    standard = {
        *(Path(base, name) for base in (sys.base_prefix, sys.base_exec_prefix) for name in ("lib", sys.platlibdir)),
        *map(Path, site.getsitepackages()),
        *([Path(site.getusersitepackages())] if site.ENABLE_USER_SITE else ()),
    }
    yield from ((path, Right.RUN) for path in standard)
    for package in (__name__.partition(".")[0], *_PACKAGES):
        for path in _locations(package):
            if not any(path.is_relative_to(known) for known in standard):  # such as a checkout on PYTHONPATH
                yield path.parent, Right.READ_DIR  # Python lists it; it can be the home directory
                yield path, Right.READ
                yield path.with_name(f"{package}.libs"), Right.READ  # the libraries that a wheel contains


def _locations(package: str) -> list[Path]:
    with suppress(ImportError, ValueError):
        spec = find_spec(package)
        if spec is not None:
            return [Path(path).absolute() for path in spec.submodule_search_locations or [spec.origin or ""] if path]
    return []
