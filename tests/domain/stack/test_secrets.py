"""The secrets of the local stack: made once, private, and completed in a folder of an earlier version."""

from datetime import UTC, datetime
from pathlib import Path

from deploy.local.secrets import api_keys_file
from shared.api_keys import ApiKey, check_key, read_keys


def key_of(folder: Path, name: str) -> ApiKey:
    text = (folder / name).read_text().strip()
    found = check_key(text, read_keys(folder / "api-keys.json"), datetime.now(UTC))
    assert isinstance(found, ApiKey)
    return found


def test_the_feed_and_the_scraper_have_a_key_each_that_only_the_owner_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    path = api_keys_file(folder)
    assert key_of(folder, "feed-api-key").roles == {"feeder"}
    assert key_of(folder, "metrics-api-key").roles == {"scraper"}
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    before = path.read_bytes()
    assert api_keys_file(folder).read_bytes() == before


def test_a_folder_with_the_feeds_key_alone_gets_the_scrapers_and_keeps_the_feeds(tmp_path: Path) -> None:
    path = api_keys_file(tmp_path)
    feed = key_of(tmp_path, "feed-api-key")
    (tmp_path / "metrics-api-key").unlink()
    api_keys_file(path.parent)
    assert key_of(tmp_path, "feed-api-key") == feed and key_of(tmp_path, "metrics-api-key").roles == {"scraper"}
