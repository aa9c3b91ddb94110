"""What Docker would run is checked without Docker: by schema, and against the settings of the one-machine stack."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.local import service_settings
from deploy.local.databases import SERVICES, DatabaseAddress
from deploy.local.kafka_jars import KAFKA_VERSION
from deploy.local.postgres import MAJOR
from deploy.local.state import StackInfo
from tests import servers

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
# An optional setting: one role owns and uses a database of its own in a container.
LEFT_OUT = {"RECOUP_MIGRATION_DSN", "RECOUP_READER_DSN"}


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


def _info(folder: Path) -> StackInfo:
    address = DatabaseAddress("postgresql://a", "postgresql://b", "postgresql://c")
    return StackInfo(
        local_dir=folder,
        kafka_bootstrap="127.0.0.1:9092",
        databases=dict.fromkeys(SERVICES, address),
        instances={service: ["http://127.0.0.1:8000"] for service in SERVICES},
        issuer_url="http://127.0.0.1:8001",
        access_system_url="http://127.0.0.1:8002",
        smtp_host="127.0.0.1",
        smtp_port=8025,
        clock="stream",
        resumed=False,
    )


def test_the_compose_file_is_valid_by_the_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_check_finds_a_misspelt_key(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(COMPOSE.read_text(encoding="utf-8").replace("image: apache/kafka", "imagee: apache/kafka"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(broken)]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0


def test_every_service_has_its_own_database_and_is_migrated_before_it_serves(compose: dict) -> None:
    addresses = set()
    for service in SERVICES:
        name = service.replace("_", "-")
        serving = compose["services"][name]
        assert serving["command"] == [f"services.{service}.main", "serve"]
        assert serving["depends_on"][f"{name}-migrate"]["condition"] == "service_completed_successfully"
        assert compose["services"][f"{name}-db"]["image"] == f"postgres:{MAJOR}"
        addresses.add(serving["environment"]["RECOUP_DATABASE_DSN"])
    assert len(addresses) == len(SERVICES)


def test_the_containers_get_the_settings_that_the_one_machine_stack_gives(compose: dict, tmp_path: Path) -> None:
    for service in SERVICES:
        told = {name for name in service_settings.of_service(_info(tmp_path), service, environment={})}
        told = {name for name in told if name.startswith("RECOUP_")} - LEFT_OUT
        in_container = compose["services"][service.replace("_", "-")]["environment"]
        assert told <= set(in_container), f"{service}: docker-compose.yml lacks {told - set(in_container)}"


def test_servers_are_of_the_same_version_everywhere(compose: dict) -> None:
    assert compose["services"]["kafka"]["image"] == servers.KAFKA_IMAGE == f"apache/kafka:{KAFKA_VERSION}"
    assert servers.POSTGRES_IMAGE == f"postgres:{MAJOR}"


def test_nothing_listens_beyond_the_loopback_address(compose: dict) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published and all(port.startswith("127.0.0.1:") for port in published)


def test_no_two_containers_want_the_same_port(compose: dict) -> None:
    published = [port.split(":")[1] for service in compose["services"].values() for port in service.get("ports", [])]
    text = json.dumps({name: service for name, service in compose["services"].items() if "migrate" not in name})
    published += re.findall(r'"RECOUP_HTTP_PORT": "(\d+)"', text) + re.findall(r'"--port", "(\d+)"', text)
    assert len(published) == len(set(published))


def test_the_image_installs_by_hash_and_does_not_run_as_root() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes -r /tmp/requirements.lock" in text
    assert re.search(r"^USER recoup$", text, re.MULTILINE)
    copied = re.findall(r"^COPY (?:--\S+ )*(\S+) ", text, re.MULTILINE)
    missing = [name for name in copied if not name.startswith("/") and not (ROOT / name).exists()]
    assert missing == []
