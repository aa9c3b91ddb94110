"""The topic command is idempotent, sets what differs, and never changes a partition count."""

import dataclasses
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.bus import admin
from shared.errors import Stop
from shared.events import catalogue

FILE = Path(__file__).resolve().parents[2] / "deploy" / "topics.yaml"


def _as_seen(topic: admin.Topic, **changes: object) -> admin.Seen:
    return dataclasses.replace(admin.Seen(topic.partitions, dict(topic.settings)), **changes)


def test_the_file_names_every_topic_of_the_catalogue_with_its_partition_count() -> None:
    topics = {topic.name: topic for topic in admin.load(FILE)}
    of_events = {entry.topic for entry in catalogue.EVENTS.values()}
    assert of_events | {catalogue.FEEDS_INBOUND, catalogue.FEEDS_RECEIPTS} == set(topics)
    assert {topic.partitions for topic in topics.values()} == {catalogue.PARTITIONS}


def test_topics_keep_everything_and_are_not_compacted() -> None:
    for topic in admin.load(FILE):
        assert topic.settings["retention.ms"] == "-1" and topic.settings["cleanup.policy"] == "delete"
        assert int(topic.settings["max.message.bytes"]) > 900_000 * 1.1


def test_replication_is_set_from_outside() -> None:
    topic = admin.load(FILE, replication=3, min_insync=2)[0]
    assert topic.replication == 3 and topic.settings["min.insync.replicas"] == "2"


def test_another_partition_count_is_refused_with_the_way_out() -> None:
    topic = admin.load(FILE)[0]
    with pytest.raises(Stop, match=r"ar\.control has 6 partitions instead of 12.*new topic"):
        admin.plan([topic], {topic.name: _as_seen(topic, partitions=6)})


def test_only_a_differing_setting_is_set() -> None:
    first, second, third = admin.load(FILE)[:3]
    seen = {first.name: _as_seen(first), second.name: _as_seen(second, settings={"retention.ms": "1000"})}
    outcome = admin.plan([first, second, third], seen)
    assert outcome == {first.name: "unchanged", second.name: "set", third.name: "made"}


@pytest.mark.broker
async def test_the_second_time_nothing_is_changed_on_a_real_broker(kafka: str) -> None:
    topics = [dataclasses.replace(topic, name=f"admin-test.{topic.name}") for topic in admin.load(FILE)[:3]]
    assert set((await admin.apply(kafka, topics)).values()) == {"made"}
    assert set((await admin.apply(kafka, topics)).values()) == {"unchanged"}
    longer = [dataclasses.replace(topic, settings={**topic.settings, "retention.ms": "5000"}) for topic in topics]
    assert set((await admin.apply(kafka, longer)).values()) == {"set"}
    assert set((await admin.apply(kafka, longer)).values()) == {"unchanged"}
    with pytest.raises(Stop, match="never changed"):
        await admin.apply(kafka, [dataclasses.replace(topics[0], partitions=3)])


@pytest.mark.broker
def test_the_command_says_what_it_did(kafka: str, tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(
        FILE.read_text().replace("- ar.", "- command-test.ar.").replace("- feeds.", "- command-test.feeds.")
    )
    first = CliRunner().invoke(admin.commands, ["apply", str(file), "--bootstrap", kafka])
    assert first.exit_code == 0 and first.output.count(": made") == 9
    file.write_text(file.read_text().replace("partitions: 12", "partitions: 24"))
    refused = CliRunner().invoke(admin.commands, ["apply", str(file), "--bootstrap", kafka])
    assert refused.exit_code == 1 and "never changed" in refused.output
