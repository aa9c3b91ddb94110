"""The two servers of a stack, Kafka and PostgreSQL: ours, or existing ones that the environment names.

KAFKA_BOOTSTRAP_SERVERS names a broker; RECOUP_POSTGRES_DSN a superuser of a server where databases and roles are made;
RECOUP_<SERVICE>_DSN the database of one service, used as it is.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local import databases
from deploy.local.databases import SERVICES, DatabaseAddress
from deploy.local.errors import StackError
from deploy.local.kafka import KafkaServer
from deploy.local.kafka_jars import KAFKA_VERSION
from deploy.local.ports import HOST, is_open
from deploy.local.postgres import PostgresServer
from deploy.local.processes import Child


class Servers:
    """Starts what is ours; `note` is told of every process at once, with the function that would start it again."""

    def __init__(self, local: Path, ports: Mapping[str, int], environment: Mapping[str, str], *, fsync: bool) -> None:
        self._environment = environment
        self._given_kafka = environment.get("KAFKA_BOOTSTRAP_SERVERS", "").strip()
        self._given_postgres = environment.get("RECOUP_POSTGRES_DSN", "").strip()
        given = {service: databases.given_addresses(service, environment) for service in SERVICES}
        self._given_databases = {service: address for service, address in given.items() if address is not None}
        self.kafka = None if self._given_kafka else _kafka(local, ports)
        needs_own = not self._given_postgres and len(self._given_databases) < len(SERVICES)
        self.postgres = _postgres(local, ports, fsync) if needs_own else None

    @property
    def bootstrap(self) -> str:
        return self.kafka.bootstrap if self.kafka else self._given_kafka

    def start(self, note: Callable[[Child, Callable[[], Child]], None], say: Callable[[str], None]) -> None:
        """Prepares both side by side (downloads, formats), launches them, and waits until they serve."""
        own = [server for server in (self.kafka, self.postgres) if server is not None]
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(server.prepare) for server in own]:
                done.result()
        for server in own:
            note(server.launch(), server.launch)
        if self.postgres is not None:
            self.postgres.wait_ready()
            say(f"PostgreSQL is up on {HOST}:{self.postgres.port}")
        if self.kafka is not None:
            self.kafka.wait_ready()
            say(f"Kafka {KAFKA_VERSION} is up on {self.kafka.bootstrap}")
        else:
            _check_reachable(self._given_kafka)
            say(f"using Kafka at {self._given_kafka}")

    def stop(self, child: Child) -> bool:
        """Stops the server that this process belongs to; False when it belongs to none."""
        for server in (self.kafka, self.postgres):
            if server is not None and server.child is child:
                server.stop()
                return True
        return False

    async def addresses(self, passwords: Mapping[str, str]) -> dict[str, DatabaseAddress]:
        """The database of every service; missing ones are made on our server or the one of RECOUP_POSTGRES_DSN."""
        admin_dsn = self.postgres.admin_dsn if self.postgres else self._given_postgres
        missing = [service for service in SERVICES if service not in self._given_databases]
        made = [await databases.ensure_service_database(admin_dsn, name, passwords[name]) for name in missing]
        return self._given_databases | dict(zip(missing, made, strict=True))


def _kafka(local: Path, ports: Mapping[str, int]) -> KafkaServer:
    controller_port = ports["kafka_controller"]
    log_path = local / "logs" / "kafka.log"
    return KafkaServer(local / "kafka", ports["kafka"], controller_port=controller_port, log_path=log_path)


def _postgres(local: Path, ports: Mapping[str, int], fsync: bool) -> PostgresServer:
    return PostgresServer(local / "postgres", ports["postgres"], fsync=fsync, log_path=local / "logs" / "postgres.log")


def _check_reachable(bootstrap: str) -> None:
    host, _, port = bootstrap.split(",")[0].rpartition(":")
    if not host or not port.isdigit() or not is_open(int(port), host, timeout_s=5.0):
        raise StackError(
            f"Nothing answers at KAFKA_BOOTSTRAP_SERVERS={bootstrap}: start that broker, correct the address "
            "(host:port), or unset it to have one started here."
        )
