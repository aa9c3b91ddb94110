"""The broker and the database of a test run: started at most once, only when a test asks, and always stopped.

Chosen in this order: an address in the environment, testcontainers when a Docker engine answers, our own launcher.
"""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from deploy.local.kafka import KafkaServer
from deploy.local.postgres import PostgresServer, outside_home
from deploy.local.processes import start_time

KAFKA_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
POSTGRES_VARIABLE = "RECOUP_TEST_POSTGRES_DSN"
KAFKA_IMAGE = "apache/kafka:4.4.0"
POSTGRES_IMAGE = "postgres:18"
DOCKER_TIMEOUT_S = 3
_PREFIX = "recoup-test-"


def docker_answers() -> bool:
    """True when a Docker engine answers on the address that the environment names."""
    import docker

    try:
        client = docker.from_env(timeout=DOCKER_TIMEOUT_S)
        client.ping()
    except (docker.errors.DockerException, OSError):
        return False
    client.close()
    return True


def run_folder(base: Path | None = None) -> Path:
    """A folder for this test process that every user may pass through; those of dead processes are removed."""
    base = base or Path(tempfile.gettempdir())
    for old in base.glob(f"{_PREFIX}*"):
        pid, _, started = old.name.removeprefix(_PREFIX).partition("-")
        if start_time(int(pid)) != started:
            remove_folder(old)
    folder = base / f"{_PREFIX}{os.getpid()}-{start_time(os.getpid())}"
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder


def remove_folder(folder: Path) -> None:
    """Removes a run's folder, and what a server had to keep outside it."""
    shutil.rmtree(outside_home(folder / "postgres"), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def start_kafka(folder: Path, stack: ExitStack) -> str:
    """A broker's bootstrap address; what was started is stopped by `stack`."""
    if given := os.environ.get(KAFKA_VARIABLE):
        return given
    if docker_answers():
        return _kafka_container(stack)
    server = KafkaServer(folder / "kafka")
    stack.callback(server.stop)
    return server.start()


def start_postgres(folder: Path, stack: ExitStack) -> str:
    """A superuser's address on a PostgreSQL server; what was started is stopped by `stack`."""
    if given := os.environ.get(POSTGRES_VARIABLE):
        return given
    if docker_answers():
        return _postgres_container(stack)
    server = PostgresServer(folder / "postgres", fsync=False)
    stack.callback(server.stop)
    return server.start()


def _kafka_container(stack: ExitStack) -> str:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    from deploy.local.ports import free_ports

    # The advertised address must be known before the start, so the port is chosen here and not by the engine.
    port = free_ports(1)[0]
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(port, port)
    for name, value in kafka_container_settings(port).items():
        container.with_env(name, value)
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(60))
    stack.enter_context(container)
    return f"127.0.0.1:{port}"


def kafka_container_settings(port: int) -> dict[str, str]:
    """The environment of an apache/kafka container that clients reach on `port` of the loopback address."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }


def _postgres_container(stack: ExitStack) -> str:
    from testcontainers.community.postgres import PostgresContainer

    image = PostgresContainer(POSTGRES_IMAGE, username="recoup_admin", password="test", dbname="postgres", driver=None)
    container = stack.enter_context(image.with_command("postgres -c fsync=off -c max_connections=200"))
    return container.get_connection_url()
