"""The stack knows a running one, a killed one and an incompatible one, and says what to do."""

import dataclasses
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import contract, state
from deploy.local.errors import StackError
from deploy.local.ports import choose, free_ports
from deploy.local.processes import ProcessId, spawn, start_time, stop_all

ME = ProcessId.of_this_process()
DEAD = ProcessId("stack", os.getpid(), "another start time")


def _state(owner: ProcessId = ME, **changes: object) -> state.State:
    return dataclasses.replace(state.State(owner, state.now_text(), {"kafka": "4.4.0"}, {"kafka": 9092}), **changes)


def test_what_is_written_is_read_again_and_is_private(tmp_path: Path) -> None:
    written = _state(processes=[ProcessId("kafka", 1, "2")])
    state.write(tmp_path, written)
    assert state.read(tmp_path) == written
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600


def test_without_a_stack_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="make run"):
        state.load(tmp_path)


def test_a_pid_that_another_process_got_does_not_count_as_the_stack(tmp_path: Path) -> None:
    state.write(tmp_path, _state(DEAD))
    found = state.read(tmp_path)
    assert found is not None and not found.is_running()


def test_a_state_of_another_version_or_a_broken_one_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"format": 0}')
    with pytest.raises(StackError, match="another version.*make clean"):
        state.read(tmp_path)
    (tmp_path / "state.json").write_text('{"format": 1')
    with pytest.raises(StackError, match="cannot be read.*make clean"):
        state.read(tmp_path)


def test_a_second_start_is_refused_while_the_first_one_lives_and_not_after(tmp_path: Path) -> None:
    holder = (
        "import sys, pathlib; from deploy.local.state import Lock; lock = Lock(pathlib.Path(sys.argv[1]));"
        "lock.take(); print('taken', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holder, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and first.stdout.readline() == "taken\n"
        with pytest.raises(StackError, match="under way"):
            state.Lock(tmp_path).take()
        first.kill()
    lock = state.Lock(tmp_path)
    lock.take()
    lock.release()


def test_what_a_killed_run_left_behind_is_found_and_stopped(tmp_path: Path) -> None:
    child = spawn("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    state.write(tmp_path, _state(DEAD, processes=[child.id]))
    found = state.read(tmp_path)
    assert found is not None and found.left_over() == [child.id]
    assert stop_all(found.left_over()) == ["sleeper"]
    assert not child.id.is_alive()


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    child = spawn("deaf", [sys.executable, "-c", deaf], tmp_path / "log")
    while "deaf" not in (tmp_path / "log").read_text():
        assert child.poll() is None
    child.stop(timeout_s=0.2)
    assert start_time(child.pid) is None


def test_a_changed_event_or_migration_is_refused_and_a_new_one_is_not() -> None:
    now = {"kafka": "4.4.0", "event:payment.received": "b", "event:new": "x"}
    contract.check({"kafka": "4.4.0", "event:payment.received": "b"}, now)
    with pytest.raises(StackError, match=r"event:payment\.received.*make clean"):
        contract.check({"event:payment.received": "a"}, now)
    with pytest.raises(StackError, match="event:gone"):
        contract.check({"event:gone": "a"}, now)


def test_the_contract_covers_every_event_type() -> None:
    from shared.events.catalogue import EVENTS

    assert {f"event:{name}" for name in EVENTS} <= set(contract.current())


def test_a_configured_port_that_is_taken_is_an_error_and_a_preferred_one_is_not(tmp_path: Path) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(StackError, match=f"Port {taken} for kafka .*RECOUP_PORT_KAFKA.* is taken"):
            choose({"kafka": 1}, {"RECOUP_PORT_KAFKA": str(taken)})
        assert choose({"kafka": taken}, {})["kafka"] != taken


def test_configured_and_preferred_ports_are_used_when_they_are_free() -> None:
    first, second = free_ports(2)
    assert choose({"kafka": 1, "smtp": second}, {"RECOUP_PORT_KAFKA": str(first)}) == {"kafka": first, "smtp": second}
    with pytest.raises(StackError, match="not a port number"):
        choose({"kafka": 1}, {"RECOUP_PORT_KAFKA": "many"})
