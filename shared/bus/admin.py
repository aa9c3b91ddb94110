"""Topic administration: brings a cluster in line with `deploy/topics.yaml`, and changes nothing when it is.

Missing topics are made, differing settings are set. A partition count is never changed: keys would move and lose their
order.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer
import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from shared.errors import Stop, Transient

TIMEOUT_S = 60.0
REQUEST_TIMEOUT_MS = 20_000
VISIBLE_TIMEOUT_S = 20.0
ALREADY_EXISTS = 36

Outcome = Literal["made", "set", "unchanged"]


@dataclass(frozen=True)
class Topic:
    """One topic as it should be."""

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What the cluster says of one topic."""

    partitions: int
    settings: Mapping[str, str]


def load(path: Path, replication: int | None = None, min_insync: int | None = None) -> list[Topic]:
    """The topics of the file; `replication` and `min_insync` override it. Stop when the file is not as expected."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        defaults, names = content["defaults"], content["topics"]
        partitions, copies = int(defaults["partitions"]), int(replication or defaults["replication"])
        settings = {str(name): str(value) for name, value in defaults["settings"].items()}
    except (KeyError, TypeError, ValueError) as problem:
        raise Stop(f"{path} needs defaults (partitions, replication, settings) and topics: {problem!r}") from problem
    if min_insync is not None:
        settings["min.insync.replicas"] = str(min_insync)
    return [Topic(str(name), partitions, copies, settings) for name in names]


def plan(wanted: Sequence[Topic], seen: Mapping[str, Seen]) -> dict[str, Outcome]:
    """What is to be done for each topic; Stop when an existing one has another partition count."""
    wrong = [
        f"{topic.name} has {seen[topic.name].partitions} partitions instead of {topic.partitions}"
        for topic in wanted
        if topic.name in seen and seen[topic.name].partitions != topic.partitions
    ]
    if wrong:
        raise Stop(
            f"{'; '.join(wrong)}: a partition count is never changed, since keys would move and lose their order. "
            "Put the "
            "old number back, or make a new topic and cut over with the old one drained."
        )
    return {topic.name: _outcome(topic, seen.get(topic.name)) for topic in wanted}


def _outcome(topic: Topic, seen: Seen | None) -> Outcome:
    if seen is None:
        return "made"
    differs = any(seen.settings.get(name) != value for name, value in topic.settings.items())
    return "set" if differs else "unchanged"


async def apply(bootstrap: str, wanted: Sequence[Topic]) -> dict[str, Outcome]:
    """Brings the cluster in line and returns what was done by topic; when it returns, every topic has its leaders."""
    client = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, client_id="recoup-admin", request_timeout_ms=REQUEST_TIMEOUT_MS
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await client.start()
            return await _apply(client, wanted)
    except (KafkaError, OSError, TimeoutError) as problem:
        raise Transient(
            f"Kafka at {bootstrap} did not do it ({problem!r}); check the address and try again"
        ) from problem
    finally:
        await client.close()


async def _apply(client: AIOKafkaAdminClient, wanted: Sequence[Topic]) -> dict[str, Outcome]:
    outcome = plan(wanted, await _seen(client, wanted))
    if missing := [topic for topic in wanted if outcome[topic.name] == "made"]:
        await _create(client, missing)
        await _wait_visible(client, missing)
    if differing := [topic for topic in wanted if outcome[topic.name] == "set"]:
        await _configure(client, differing)
    return outcome


async def _seen(client: AIOKafkaAdminClient, wanted: Sequence[Topic]) -> dict[str, Seen]:
    existing = set(await client.list_topics())
    names = [topic.name for topic in wanted if topic.name in existing]
    if not names:
        return {}
    counts = {entry["topic"]: len(entry["partitions"]) for entry in await client.describe_topics(names)}
    settings = await _settings(client, names)
    return {name: Seen(counts[name], settings[name]) for name in names}


async def _settings(client: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for response in await client.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            _check(code, f"reading the settings of {name}", message)
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _create(client: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    response = await client.create_topics(
        [
            NewTopic(topic.name, topic.partitions, topic.replication, topic_configs=dict(topic.settings))
            for topic in topics
        ]
    )
    for name, code, *message in response.topic_errors:
        if code != ALREADY_EXISTS:  # another start of the stack was quicker
            _check(code, f"making {name}", message[0] if message else "")


async def _configure(client: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name, dict(topic.settings)) for topic in topics]
    for response in await client.alter_configs(resources):
        for code, message, _, name in response.resources:
            _check(code, f"setting {name}", message)
    async with asyncio.timeout(VISIBLE_TIMEOUT_S):
        while "set" in plan(topics, await _seen(client, topics)).values():  # noqa: ASYNC110 - the broker announces nothing
            await asyncio.sleep(0.05)


async def _wait_visible(client: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    """A topic is created a moment before its partitions have leaders."""
    async with asyncio.timeout(VISIBLE_TIMEOUT_S):
        while True:
            described = await client.describe_topics([topic.name for topic in topics])
            partitions = [partition for entry in described for partition in entry["partitions"]]
            expected = sum(topic.partitions for topic in topics)
            if len(partitions) == expected and all(partition["leader"] >= 0 for partition in partitions):
                return
            await asyncio.sleep(0.05)


def _check(code: int, doing: str, message: str | None) -> None:
    if code:
        raise Stop(f"{doing} failed: {message or for_code(code).__name__}")


commands = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@commands.callback()
def _group() -> None:
    """Keeps `apply` a subcommand although it is the only one."""


@commands.command("apply")
def _apply_command(
    path: Annotated[Path, typer.Argument(help="the topics file", exists=True)],
    bootstrap: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")] = "127.0.0.1:9092",
    replication: Annotated[int | None, typer.Option(min=1, envvar="RECOUP_TOPIC_REPLICATION")] = None,
    min_insync: Annotated[int | None, typer.Option(min=1, envvar="RECOUP_TOPIC_MIN_INSYNC")] = None,
) -> None:
    """Make what is missing and bring settings in line; refuse to change a partition count."""
    try:
        outcome = asyncio.run(apply(bootstrap, load(path, replication, min_insync)))
    except (Stop, Transient) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from problem
    for name, done in outcome.items():
        typer.echo(f"{name}: {done}")


if __name__ == "__main__":
    commands()
