from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tfserve.interrupts import Terminated, exit_code, interrupts_deferred, raise_on_termination

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Installs the handlers of the program, and restores the previous ones after the test."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    hook = sys.unraisablehook
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raise_on_termination()
    yield
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_exit_codes(number: signal.Signals, code: int) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        signal.raise_signal(number)
    assert exit_code(caught.value) == code


def test_an_ignored_hangup_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise_on_termination()
    signal.raise_signal(signal.SIGHUP)
    with interrupts_deferred():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_the_block_finishes_before_the_interrupt(number: signal.Signals, kind: type[BaseException]) -> None:
    done = []
    with pytest.raises(kind) as caught, interrupts_deferred():
        signal.raise_signal(number)
        done.append("the block")
    assert done == ["the block"]
    assert type(caught.value) is kind


def test_a_second_interrupt_is_not_deferred() -> None:
    done = []
    with pytest.raises(Terminated), interrupts_deferred():
        signal.raise_signal(signal.SIGINT)
        done.append("after the first")
        signal.raise_signal(signal.SIGTERM)
        done.append("after the second")
    assert done == ["after the first"]


def test_the_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with interrupts_deferred():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(ZeroDivisionError), interrupts_deferred():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_an_error_in_the_block_does_not_swallow_the_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError


def test_blocks_can_be_nested() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
        done.append("the outer block")
    assert done == ["the outer block"]


def test_other_threads_defer_nothing() -> None:
    found = []

    def look() -> None:
        with interrupts_deferred():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_in_a_destructor_is_not_lost(name: str) -> None:
    program = f"""
import signal, time
from tfserve.interrupts import exit_code, raise_on_termination
class Closing:
    def __del__(self):
        signal.raise_signal(signal.{name})
class Failing:
    def __del__(self):
        raise OSError("as ever")
raise_on_termination()
Failing()
try:
    Closing()
    time.sleep(20)
except KeyboardInterrupt as interrupt:
    print(exit_code(interrupt))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=10, check=False)
    assert done.stdout == f"{128 + getattr(signal, name)}\n"
    assert "as ever" in done.stderr
    assert "Interrupt" not in done.stderr


def test_an_interrupt_exits_immediately_while_there_is_nothing_to_clean_up() -> None:
    program = """
import signal
from tfserve.interrupts import begin_cleaning_up, leave_on_interrupt
leave_on_interrupt()
begin_cleaning_up()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("cleaned up", flush=True)
leave_on_interrupt()
class Closing:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
Closing()
print("past it", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "cleaned up\n", "Interrupted.\n")


def test_a_signal_without_a_handler_still_terminates_the_process() -> None:
    program = """
import signal
from tfserve.interrupts import interrupts_deferred
with interrupts_deferred():
    signal.raise_signal(signal.SIGTERM)
    print("the block", flush=True)
print("past it")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "the block\n"
    assert done.returncode == -signal.SIGTERM
