"""The stack as a person runs it: it starts, says what is where, and no process of it survives it, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import state
from deploy.local.databases import SERVICES
from deploy.local.paths import REPOSITORY, cache_dir
from deploy.local.ports import free_ports
from deploy.local.postgres import outside_home
from deploy.local.processes import wait_for
from tests.system.quarter import own_ports

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
COMMAND = [sys.executable, "-m", "deploy.local.stack"]
STARTED = "Ctrl-C stops everything."


class Terminal:
    """Runs commands of the stack on a folder of its own, with ports that the operating system chose."""

    def __init__(self, local: Path) -> None:
        self.local = local
        given = {"RECOUP_LOCAL_DIR": str(local), "RECOUP_CACHE_DIR": str(cache_dir())}
        self.environment = {**os.environ, **own_ports(), **given}
        self.environment.pop("KAFKA_BOOTSTRAP_SERVERS", None)

    def up(self, *arguments: str) -> subprocess.Popen:
        return self.start([*COMMAND, "up", *arguments])

    def start(self, command: list[str]) -> subprocess.Popen:
        """In a process group of its own, as a shell starts it."""
        with (self.local.parent / "output").open("a") as log:
            return subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        return (self.local.parent / "output").read_text()

    def wait_started(self, process: subprocess.Popen, times: int = 1) -> state.State:
        ended = wait_for(lambda: process.poll() is not None or self.output().count(STARTED) == times, 90)
        assert ended and process.poll() is None, self.output()
        found = state.read(self.local)
        assert found is not None
        return found

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        environment = self.environment | environment
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )


@pytest.fixture
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("stack")
    terminal = Terminal(folder / "local")
    yield terminal
    terminal.run("stop")
    terminal.run("clean")
    assert not outside_home(terminal.local / "postgres").exists()


def _none_lives(found: state.State) -> bool:
    return not any(process.is_alive() for process in found.processes)


SERVICE_PROCESSES = {f"{service}-0" for service in SERVICES}


def test_ctrl_c_and_sigterm_end_all_five_services_and_a_second_start_goes_on(terminal: Terminal) -> None:
    """Ctrl-C goes to the whole group of the terminal, SIGTERM to the one process."""
    for times, number in ((1, signal.SIGINT), (2, signal.SIGTERM)):
        process = terminal.up("--services")
        found = terminal.wait_started(process, times)
        assert {child.name for child in found.processes} >= SERVICE_PROCESSES | {"kafka", "postgres", "smtp"}
        logs = {name: (terminal.local / "logs" / f"{name}.log").stat().st_size for name in SERVICE_PROCESSES}
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(60) == 0
        assert [child.name for child in found.processes if child.is_alive()] == []
        assert terminal.output().count(f"Stopped {len(found.processes)} processes.") == times
        for name, size in logs.items():
            said = (terminal.local / "logs" / f"{name}.log").read_bytes()[size:]
            assert b"Traceback" not in said and b'"error"' not in said, f"{name} did not stop in order: {said.decode()}"
    assert "Traceback" not in terminal.output()
    assert terminal.output().count("going on with them") == 1, "the second start has the data of the first"


def test_ctrl_c_in_the_middle_of_the_feed_ends_make_run_and_all_its_processes(terminal: Terminal) -> None:
    process = terminal.start(["make", "--no-print-directory", "run"])
    fed = "Sample of 60 business days"
    assert wait_for(lambda: process.poll() is not None or fed in terminal.output(), 120), terminal.output()
    time.sleep(2)
    found = state.read(terminal.local)
    assert found is not None and {child.name for child in found.processes} >= SERVICE_PROCESSES
    assert found.owner.is_alive() and process.poll() is None, terminal.output()
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    assert [child.name for child in [found.owner, *found.processes] if child.is_alive()] == []
    assert f"Stopped {len(found.processes)} processes." in terminal.output()
    assert "Traceback" not in terminal.output(), terminal.output()


def test_when_the_stack_is_killed_its_processes_end_and_the_next_start_recovers(terminal: Terminal) -> None:
    process = terminal.up()
    found = terminal.wait_started(process)
    process.kill()
    process.wait(10)
    assert wait_for(lambda: _none_lives(found), 30)
    again = terminal.up()
    terminal.wait_started(again, times=2)
    again.send_signal(signal.SIGTERM)
    assert again.wait(60) == 0


def test_stop_status_and_clean_from_another_terminal(terminal: Terminal) -> None:
    assert "Nothing runs." in terminal.run("stop").stdout
    process = terminal.up()
    found = terminal.wait_started(process)
    shown = terminal.run("status").stdout
    assert "Running since" in shown and "kafka" in shown
    second = terminal.run("up")
    assert second.returncode == 1 and "A stack already runs" in second.stderr and "make stop" in second.stderr
    refused = terminal.run("clean")
    assert refused.returncode == 1 and "make stop" in refused.stderr
    assert "Stopped." in terminal.run("stop").stdout
    assert process.wait(10) == 0 and _none_lives(found)
    assert terminal.run("clean").returncode == 0
    assert state.read(terminal.local) is None


def test_a_server_that_ends_is_started_again(terminal: Terminal) -> None:
    process = terminal.up()
    found = terminal.wait_started(process)
    kafka = next(child for child in found.processes if child.name == "kafka")
    os.kill(kafka.pid, signal.SIGKILL)
    assert wait_for(lambda: "kafka ended with code -9 and is started again" in terminal.output(), 20)
    time.sleep(0.5)
    again = state.read(terminal.local)
    assert again is not None and all(child.is_alive() for child in again.processes)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0 and _none_lives(again)


def test_what_is_in_the_way_is_said_in_one_sentence(terminal: Terminal) -> None:
    broker = terminal.run("up", KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_ports(1)[0]}")
    assert broker.returncode == 1 and "Nothing answers at KAFKA_BOOTSTRAP_SERVERS" in broker.stderr
    jars = terminal.run(
        "up", RECOUP_CACHE_DIR=str(terminal.local / "empty"), RECOUP_MAVEN_URL=f"http://127.0.0.1:{free_ports(1)[0]}"
    )
    assert jars.returncode == 1 and "docker compose up" in jars.stderr
    for failed in (broker, jars):
        assert "Traceback" not in failed.stderr
