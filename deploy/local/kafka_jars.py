"""The jars of the Kafka broker: fetched by the committed lock, each checked against its SHA-256.

`kafka.jgo.lock.toml` holds version and hash of every jar and no address. `python -m deploy.local.kafka_jars` resolves
the broker's coordinates anew and rewrites it; a run only downloads what the lock names. `RECOUP_MAVEN_URL` names a
mirror.
"""

import hashlib
import os
import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError

KAFKA_VERSION = "4.4.0"
ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
LOCK_PATH = Path(__file__).with_name("kafka.jgo.lock.toml")
DOWNLOADS_AT_ONCE = 6
REQUEST_TIMEOUT_S = 20


@dataclass(frozen=True)
class Jar:
    """One locked jar: Maven coordinates and the hash of its bytes."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked_jars(lock_path: Path = LOCK_PATH) -> list[Jar]:
    """The jars of the lock file; StackError when a Kafka jar is not of the broker's version or a hash is missing."""
    entries = tomllib.loads(lock_path.read_text(encoding="utf-8"))["dependencies"]
    jars = [Jar(e["groupId"], e["artifactId"], e["version"], e.get("sha256", "")) for e in entries]
    _check_versions(jars)
    return jars


def ensure_jars(cache: Path) -> Path:
    """The folder with exactly the locked jars, downloading what is missing (about 43 MB the first time)."""
    jars = locked_jars()
    folder = cache / f"kafka-{KAFKA_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not _is_good(folder / jar.file_name, jar)]
    if missing:
        _download(missing, folder, cache / f"maven-{os.getpid()}")
    for extra in {path.name for path in folder.glob("*.jar")} - {jar.file_name for jar in jars}:
        (folder / extra).unlink()
    return folder


def write_lock(cache: Path, lock_path: Path = LOCK_PATH) -> None:
    """Resolves the broker's coordinates with jgo and writes the lock file."""
    jgo = _jgo()
    builder = jgo.EnvironmentBuilder(_context(cache), cache_dir=cache / "jgo")
    environment = builder.from_endpoint(ENDPOINT, update=True)
    shutil.copyfile(environment.path / "jgo.lock.toml", lock_path)
    locked_jars(lock_path)


def _check_versions(jars: list[Jar]) -> None:
    wrong = [jar.file_name for jar in jars if jar.artifact.startswith("kafka") and jar.version != KAFKA_VERSION]
    if wrong:
        raise StackError(
            f"{LOCK_PATH.name} names {', '.join(wrong)} beside the broker {KAFKA_VERSION}; take the coordinate that "
            "drags in the other version out of ENDPOINT and run `python -m deploy.local.kafka_jars`."
        )
    if unhashed := [jar.file_name for jar in jars if not jar.sha256]:
        raise StackError(
            f"{LOCK_PATH.name} has no hash for {', '.join(unhashed)}; run `python -m deploy.local.kafka_jars`."
        )


def _is_good(path: Path, jar: Jar) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256


def _download(jars: list[Jar], folder: Path, repository: Path) -> None:
    context = _context(repository)
    try:
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            for jar, path in pool.map(lambda jar: (jar, _fetch(context, jar)), jars):
                _place(path, jar, folder)
    except (OSError, RuntimeError) as error:
        raise StackError(
            f"The Kafka jars could not be downloaded ({type(error).__name__}: the Maven repository did not answer or "
            "lacks a jar): connect to the network once and run again, or set RECOUP_MAVEN_URL to a mirror, or set "
            "KAFKA_BOOTSTRAP_SERVERS=host:port to use your own broker, or use `docker compose up`."
        ) from error
    shutil.rmtree(repository, ignore_errors=True)


def _fetch(context: object, jar: Jar) -> Path:
    component = context.project(jar.group, jar.artifact).at_version(jar.version)  # type: ignore[attr-defined]
    artifact = component.artifact()
    artifact.cached_path.unlink(missing_ok=True)
    return Path(artifact.resolve())


def _place(path: Path, jar: Jar, folder: Path) -> None:
    """Moves a checked jar to its place under a name of its own first, so that a second run never sees half a file."""
    if not _is_good(path, jar):
        path.unlink()
        raise StackError(
            f"{jar.file_name} as downloaded does not have the locked SHA-256, so it is not used; check the mirror in "
            "RECOUP_MAVEN_URL or the proxy in between, and run again."
        )
    partial = folder / f".{jar.file_name}.{os.getpid()}"
    shutil.copyfile(path, partial)
    partial.replace(folder / jar.file_name)


def _context(repository: Path) -> object:
    from jgo.maven import MavenContext, PythonResolver

    url = os.environ.get("RECOUP_MAVEN_URL")
    remote = {"mirror": url.rstrip("/")} if url else None
    _jgo()
    return MavenContext(
        resolver=PythonResolver(), repo_cache=repository, remote_repos=remote, timeout=REQUEST_TIMEOUT_S
    )


def _jgo() -> object:
    try:
        import jgo  # a wheel of the quickstart extra, needed for a download only
    except ImportError as error:
        raise StackError(
            "The wheel jgo, which downloads the Kafka jars, is missing: run `make clean-venv` and then `make run` "
            "again, or set KAFKA_BOOTSTRAP_SERVERS=host:port to use your own broker."
        ) from error
    return jgo


if __name__ == "__main__":
    from deploy.local.paths import cache_dir

    write_lock(cache_dir() / "lock")
    shutil.rmtree(cache_dir() / "lock")
    print(f"{LOCK_PATH.name}: {len(locked_jars())} jars")
