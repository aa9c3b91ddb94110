"""What ends by itself is started again, but a process that cannot run is not started for ever."""

import sys
from pathlib import Path

import pytest

from deploy.local import local_stack, state
from deploy.local.errors import StackError
from deploy.local.local_stack import RESTARTS_MAX, LocalStack
from deploy.local.processes import ProcessId


@pytest.fixture
def stack(tmp_path: Path) -> LocalStack:
    made = LocalStack(tmp_path, say=lambda text: None, environment={})
    made._state = state.State(ProcessId.of_this_process(), state.now_text(), {}, {})  # noqa: SLF001
    return made


def end(stack: LocalStack, name: str) -> None:
    child = stack.child(name)
    child.kill()
    stack.restart_ended()
    assert stack.child(name) is not child


def start(stack: LocalStack, name: str) -> None:
    stack._spawn(name, [sys.executable, "-c", "import time; time.sleep(60)"], {})  # noqa: SLF001


def test_each_process_is_started_again_a_few_times_within_ten_minutes(stack: LocalStack, monkeypatch) -> None:
    now_s = 1_000.0
    monkeypatch.setattr(local_stack.time, "monotonic", lambda: now_s)
    for name in ("one", "two"):
        start(stack, name)
    try:
        for name in ("one", "two"):
            for _ in range(RESTARTS_MAX):
                end(stack, name)
        with pytest.raises(StackError, match=r"one ended with code -9, and was started again 5 times within 10 min"):
            end(stack, "one")
        now_s += local_stack.RESTARTS_WITHIN_S
        stack.restart_ended()
        assert stack.child("one").poll() is None and stack.restarts == 2 * RESTARTS_MAX + 1
    finally:
        for child in stack.children:
            child.kill()
