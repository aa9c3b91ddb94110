"""Tokens, API keys, roles and duties: what is refused matters more than what is let through."""

import base64
import hmac
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from shared import permissions
from shared.api_keys import ApiKey, KeyRefused, KeysFileError, add_key, check_key, new_api_key, read_keys
from shared.auth import Authenticator, AuthSettings, Principal, company_of, permit, principal_of_key, require
from shared.errors import Transient
from shared.permissions import ACTIONS, APPROVALS, CASH_APPLY, CASH_READ, DUTY_OF_ACTION, ROLE_ACTIONS, ROLES
from shared.problems import Problem
from shared.tokens import LIFETIME_S_MAX, IssuerKeys, TokenRefused, TokenVerifier, public_keys
from tests.domain.shared.caller_samples import (
    COMPANY,
    EC_KEY,
    ISSUER,
    RSA_KEY,
    CountingFetch,
    SteppedTime,
    authenticator,
    claims,
    jwks,
    person,
    token,
)

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def verifier(fetch: CountingFetch | None = None, clock: SteppedTime | None = None) -> TokenVerifier:
    keys = IssuerKeys(fetch or CountingFetch(jwks()), clock or SteppedTime())
    return TokenVerifier(keys, ISSUER, "recoup")


async def test_a_token_of_either_algorithm_becomes_a_principal() -> None:
    proven = authenticator()
    for key, algorithm in ((RSA_KEY, "RS256"), (EC_KEY, "ES256")):
        principal = await proven.by_token(token(key, algorithm, limits={"write_off": {"EUR": 100_000}}))
        assert principal == Principal(
            "ana", "person", frozenset({COMPANY}), frozenset({"analyst"}), {"write_off": {"EUR": 100_000}}, "t-1"
        )
        assert principal.actor == "user:ana"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": int(time.time()) - 60},
        {"exp": int(time.time()) + 10 * LIFETIME_S_MAX},
        {"exp": "tomorrow"},
        {"exp": float("nan")},
        {"iat": None},
        {"iat": int(time.time()) + 3_600, "exp": int(time.time()) + 4_000},
        {"nbf": int(time.time()) + 3_600},
        {"iss": "http://another.test"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"sub": None},
        {"sub": "a b"},
        {"companies": None},
        {"companies": "vdr-eu"},
        {"companies": ["../etc"]},
        {"roles": None},
        {"kind": "root"},
        {"limits": {"write_off": {"EUR": -1}}},
    ],
)
async def test_a_token_with_a_missing_or_wrong_claim_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(TokenRefused) as refused:
        await verifier().verify(token(**changes))
    assert token(**changes)[-20:] not in str(refused.value)


def unsigned_token(algorithm: str) -> str:
    parts = ({"alg": algorithm, "kid": "rsa-1"}, claims())
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


async def test_no_other_algorithm_counts() -> None:
    confused = unsigned_token("HS256")
    mac = hmac.digest(RSA_KEY.as_pem(private=False), confused.encode(), "sha256")
    confused += "." + base64.urlsafe_b64encode(mac).decode().rstrip("=")
    unsigned = unsigned_token("none")
    for forged in (confused, unsigned + ".", token(RSA_KEY, "RS256")[:-4] + "AAAA", "", "a.b.c", "x" * 9_000):
        with pytest.raises(TokenRefused):
            await verifier().verify(forged)


async def test_a_key_that_the_token_brings_along_is_not_trusted() -> None:
    own = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    forged = token(own, "RS256", {"jwk": own.as_dict(private=False)})
    with pytest.raises(TokenRefused):
        await verifier().verify(forged)


async def test_a_token_without_a_kind_is_a_service_and_may_approve_nothing() -> None:
    principal = await authenticator().by_token(token(kind=None, roles=["controller"]))
    assert principal.kind == "service"
    assert not any(permissions.permitted(principal, action) for action in APPROVALS)
    assert permissions.permitted(principal, CASH_READ)


async def test_unknown_roles_bring_nothing() -> None:
    principal = await authenticator().by_token(token(roles=["root", "analyst"]))
    assert principal.roles == {"analyst"}


async def test_a_token_whose_roles_exclude_each_other_is_forbidden() -> None:
    with pytest.raises(Problem) as problem:
        await authenticator().by_token(token(roles=["analyst", "controller"]))
    assert problem.value.status_code == 403
    assert "apply_cash" in problem.value.detail


async def test_issuer_keys_are_asked_for_seldom() -> None:
    fetch, clock = CountingFetch(jwks()), SteppedTime()
    checks = verifier(fetch, clock)
    for _ in range(50):
        await checks.verify(token())
    assert fetch.asked == 1
    stranger = token(RSAKey.generate_key(2048, {"kid": "rsa-9"}))
    for _ in range(50):
        with pytest.raises(TokenRefused):
            await checks.verify(stranger)
    assert fetch.asked == 1, "an unknown key id must not let a caller hammer the issuer"
    clock.seconds += 11
    with pytest.raises(TokenRefused):
        await checks.verify(stranger)
    assert fetch.asked == 2


async def test_a_new_key_of_the_issuer_counts_after_the_refresh_limit() -> None:
    fetch, clock = CountingFetch(jwks(RSA_KEY)), SteppedTime()
    checks = verifier(fetch, clock)
    await checks.verify(token())
    fetch.content = jwks(EC_KEY)
    clock.seconds += 11
    assert (await checks.verify(token(EC_KEY, "ES256"))).sub == "ana"
    with pytest.raises(TokenRefused):
        await checks.verify(token(RSA_KEY))


async def test_an_issuer_that_is_away_is_bridged_for_an_hour_and_then_said_to_be_away() -> None:
    fetch, clock = CountingFetch(jwks()), SteppedTime()
    checks = verifier(fetch, clock)
    await checks.verify(token())
    fetch.content = httpx.ConnectError("refused")
    clock.seconds += 3_500
    assert await checks.verify(token())
    clock.seconds += 200
    with pytest.raises(Transient, match="RECOUP_JWKS_URL"):
        await checks.verify(token())
    fetch.content = jwks()
    clock.seconds += 11
    assert await checks.verify(token())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"keys": {}}',
        b'{"keys": []}',
        json.dumps({"keys": [OctKey.generate_key(256, {"kid": "o"}).as_dict(private=True)]}).encode(),
        json.dumps({"keys": [RSA_KEY.as_dict(private=True)]}).encode(),
        json.dumps(KeySet([ECKey.generate_key("P-384", {"kid": "e"})]).as_dict(private=False)).encode(),
    ],
    ids=["empty", "a list", "keys not a list", "no keys", "shared secret", "private key", "another curve"],
)
def test_a_key_set_without_a_usable_public_key_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        public_keys(content)


@pytest.mark.filterwarnings("ignore:Key size")
def test_a_short_rsa_key_is_refused() -> None:
    with pytest.raises(ValueError, match="2,048"):
        public_keys(jwks(RSAKey.generate_key(1024, {"kid": "s"})))


def key_record(**changes: object) -> tuple[str, ApiKey]:
    text, record = new_api_key("erp", frozenset({COMPANY}), frozenset({"invoice"}), NOW + timedelta(days=1))
    return text, record.model_copy(update=changes)


def test_a_key_is_known_by_its_hash_only_and_only_until_it_expires() -> None:
    text, record = key_record()
    keys = {record.key_id: record}
    assert text.startswith(f"rcp_{record.key_id}_")
    assert text not in record.model_dump_json()
    assert check_key(text, keys, NOW) == record
    assert check_key(text, keys, record.expires_at - timedelta(microseconds=1)) == record
    assert isinstance(check_key(text, keys, record.expires_at), KeyRefused)
    assert isinstance(check_key(text, {}, NOW), KeyRefused)


@given(st.text(max_size=80), st.integers(0, 59))
def test_no_other_text_passes_for_a_key(other: str, cut: int) -> None:
    text, record = key_record()
    for forged in (other, text[:cut], text + "A", text[:-1] + ("A" if text[-1] != "A" else "B"), f" {text}"):
        found = check_key(forged, {record.key_id: record}, NOW)
        assert isinstance(found, KeyRefused)
        assert text[-20:] not in found.reason


def test_a_feed_writes_only_its_types_and_companies_and_approves_nothing() -> None:
    _, record = key_record()
    feed = principal_of_key(record)
    assert feed.actor == "feed:erp"
    assert feed.may_write("invoice") and not feed.may_write("customer")
    assert permissions.allowed(feed, "ingest.submit", COMPANY)
    assert not permissions.allowed(feed, "ingest.submit", "another")
    assert {a for a in ACTIONS if permissions.permitted(feed, a)} == {
        "ingest.submit",
        "ingest.read",
        "runtime.read",
    }


def test_even_a_key_that_claims_an_approver_role_approves_nothing() -> None:
    feed = Principal("erp", "feed", frozenset({COMPANY}), ROLES)
    assert not any(permissions.permitted(feed, action) for action in APPROVALS)


def test_a_keys_file_with_another_role_or_a_double_key_id_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, record = key_record()
    add_key(path, record)
    assert path.stat().st_mode & 0o777 == 0o600
    content = json.loads(path.read_text())
    path.write_text(json.dumps({"keys": [content["keys"][0] | {"roles": ["controller"]}]}))
    with pytest.raises(KeysFileError, match="roles of a key"):
        read_keys(path)
    path.write_text(json.dumps({"keys": content["keys"] * 2}))
    with pytest.raises(KeysFileError, match="twice"):
        read_keys(path)
    path.write_text(json.dumps({"keys": [content["keys"][0] | {"expires_at": "2026-01-01T00:00:00"}]}))
    with pytest.raises(KeysFileError, match="expires_at"):
        read_keys(path)


async def test_a_removed_key_stops_working_and_a_damaged_file_refuses_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SteppedTime()
    monkeypatch.setattr("shared.auth.monotonic", clock)
    path = tmp_path / "keys.json"
    text, record = key_record()
    add_key(path, record)
    proven = Authenticator(AuthSettings(api_keys_file=path))
    assert proven.by_key(text, NOW).subject == "erp"
    path.write_text('{"keys": []}')
    clock.seconds += 3
    with pytest.raises(Problem):
        proven.by_key(text, NOW)
    path.write_text("{")
    clock.seconds += 3
    for _ in range(2):
        with pytest.raises(Transient, match=r"keys\.json"):
            proven.by_key(text, NOW)


def test_the_command_line_makes_a_key_that_works(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    arguments = ["--file", str(path), "--feed", "erp", "--company", COMPANY, "--record-type", "invoice", "--days", "2"]
    made = subprocess.run(
        [sys.executable, "-m", "shared.api_keys", *arguments], capture_output=True, text=True, check=True, timeout=30
    )
    found = check_key(made.stdout.strip(), read_keys(path), datetime.now(UTC))
    assert isinstance(found, ApiKey) and found.record_types == {"invoice"}


def test_a_scrapers_key_reads_metrics_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    arguments = ["--file", str(path), "--feed", "prometheus", "--role", "scraper", "--days", "2"]
    made = subprocess.run(
        [sys.executable, "-m", "shared.api_keys", *arguments], capture_output=True, text=True, check=True, timeout=30
    )
    found = check_key(made.stdout.strip(), read_keys(path), datetime.now(UTC))
    assert isinstance(found, ApiKey)
    scraper = principal_of_key(found)
    assert {a for a in ACTIONS if permissions.permitted(scraper, a)} == {"metrics.read"}
    assert not scraper.companies and not scraper.may_write("invoice")


@pytest.mark.parametrize("roles", [["feeder"], ["clock"], ["feeder", "scraper"], []])
def test_a_key_that_feeds_names_companies_and_record_types(tmp_path: Path, roles: list[str]) -> None:
    _, record = key_record()
    plain = record.model_dump(mode="json") | {"roles": roles, "companies": [], "record_types": []}
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [plain]}))
    with pytest.raises(KeysFileError, match="names its companies"):
        read_keys(path)


def test_every_action_is_held_by_a_role_and_carries_one_duty_or_only_reads() -> None:
    written = {value for name, value in vars(permissions).items() if name.isupper() and isinstance(value, str)}
    assert ACTIONS <= written
    reads = {action for action in ACTIONS if action.endswith(".read")}
    assert set(DUTY_OF_ACTION) == ACTIONS - reads
    assert APPROVALS < ACTIONS


def test_no_single_role_holds_duties_that_exclude_each_other() -> None:
    assert [conflict for role in ROLES for conflict in permissions.duty_conflicts([role])] == []


@pytest.mark.parametrize(
    ("roles", "may_be_one_person"),
    [
        (("collector", "analyst"), True),
        (("analyst", "supervisor"), False),
        (("analyst", "controller"), False),
        (("collector", "supervisor"), False),
        (("collector", "credit_manager"), False),
        (("supervisor", "credit_manager"), True),
        (("auditor", "controller"), True),
        (("auditor", "operator"), True),
        (("feeder", "clock"), True),
    ],
)
def test_which_roles_one_person_may_hold(roles: tuple[str, ...], may_be_one_person: bool) -> None:
    assert (permissions.duty_conflicts(roles) == ()) is may_be_one_person


def test_administration_and_feeding_go_with_no_business_role() -> None:
    business = [r for r in ROLES if any(DUTY_OF_ACTION.get(a) in permissions.BUSINESS_DUTIES for a in ROLE_ACTIONS[r])]
    assert len(business) == 5
    for role in business:
        assert permissions.duty_conflicts([role, "operator"])
        assert permissions.duty_conflicts([role, "feeder"])
        assert permissions.duty_conflicts([role, "clock"])


def test_duties_exclude_each_other_in_both_directions() -> None:
    duties = {*permissions.CONFLICTS, *frozenset().union(*permissions.CONFLICTS.values())}
    assert all(permissions.excludes(a, b) == permissions.excludes(b, a) for a, b in combinations(sorted(duties), 2))
    assert not any(permissions.excludes(duty, duty) for duty in duties)


@given(st.sets(st.sampled_from(sorted(ROLES))), st.sampled_from(sorted(ACTIONS)))
def test_an_action_is_allowed_exactly_by_its_roles_and_companies(roles: set[str], action: str) -> None:
    holder = person("ana", *roles)
    assert permissions.allowed(holder, action, COMPANY) == any(action in ROLE_ACTIONS[role] for role in roles)
    assert not permissions.allowed(holder, action, "another")


def test_an_action_of_no_table_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(KeyError, match=r"cash\.aply"):
        require("cash.aply")
    with pytest.raises(KeyError):
        permit(person("ana", "analyst"), "nothing")


def test_the_refusal_says_who_may_not_do_what() -> None:
    assert permit(person("ana", "analyst"), CASH_APPLY).subject == "ana"
    with pytest.raises(Problem, match=r"user:audrey may not do cash\.apply") as problem:
        permit(person("audrey", "auditor"), CASH_APPLY)
    assert problem.value.status_code == 403


def test_a_foreign_company_is_refused_alike_whether_it_exists_or_not() -> None:
    assert company_of(person(), COMPANY) == COMPANY
    texts = set()
    for company in ("acme", "none"):
        with pytest.raises(Problem) as problem:
            company_of(person(), company)
        texts.add((problem.value.status_code, problem.value.code, problem.value.detail.replace(company, "?")))
    assert len(texts) == 1
