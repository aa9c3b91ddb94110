"""What the API of ingest promises beside what every API does (tests/contract/test_apis.py)."""

from services.ingest.domain.inbound import sign


def test_the_signature_of_feeds_is_fixed() -> None:
    """A feed's own implementation must give the same: HMAC-SHA256 over feed, type, key (each with \\n) and value."""
    assert sign("secret", "erp", "invoice", "key-0001", b'{"a":1}') == (
        "6c85a43fee291a13bab5c5b7ac174881551a35726f86bde2019b3337dacb9997"
    )
