"""Versioned views for BI tools, and the grants to the read-only role. A new shape of a view is a new version.

Invariant: no personal data but the name of the account; free text, contacts, payers and remittances stay outside.
"""

from collections.abc import Iterator

READER = "recoup_reporting_reader"

OPEN_ITEM = """
create view bi_open_item_v1 as
select i.company, i.item_id, i.account_id, a.name as account_name, a.country, a.industry, a.segment, a.collector,
    i.number, i.kind, i.side, i.currency, i.original_minor, i.remaining_minor, i.disputed_minor, i.document_on,
    i.due_on, c.closed_on - i.due_on as days_past_due
from item i left join account a using (company, account_id) left join closed_day c using (company)
where i.remaining_minor > 0
"""
AGING = """
create view bi_aging_v1 as
select company, account_id, account_name, country, industry, segment, collector, currency,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due <= 0), 0)::bigint as current_minor,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due between 1 and 30), 0)::bigint
        as days_1_30_minor,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due between 31 and 60), 0)::bigint
        as days_31_60_minor,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due between 61 and 90), 0)::bigint
        as days_61_90_minor,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due between 91 and 120), 0)::bigint
        as days_91_120_minor,
    coalesce(sum(remaining_minor) filter (where side = 'debit' and days_past_due > 120), 0)::bigint as over_120_minor,
    coalesce(sum(remaining_minor) filter (where side = 'credit'), 0)::bigint as credit_items_minor,
    coalesce(sum(least(disputed_minor, remaining_minor)) filter (where side = 'debit'), 0)::bigint as disputed_minor
from bi_open_item_v1
group by company, account_id, account_name, country, industry, segment, collector, currency
"""
AGING_DAY = """
create view bi_aging_day_v1 as
select company, date, currency, bucket, amount_minor, disputed_minor, base_minor from day_aging
"""
PAYMENT = """
create view bi_payment_v1 as
select r.company, r.payment_id, r.bank_account, r.currency, r.amount_minor, r.method, r.document_on, r.valued_on,
    r.accounted_on, p.account_id, p.status, p.rule, p.automatic, p.unidentified_minor, p.refunded_minor, p.non_ar_minor,
    p.returned_minor, coalesce(s.applied_minor, 0)::bigint as applied_minor,
    coalesce(s.unapplied_minor, 0)::bigint as unapplied_minor,
    coalesce(s.on_account_minor, 0)::bigint as on_account_minor
from receipt r left join payment p using (company, payment_id)
left join (
    select company, payment_id, sum(applied_minor) as applied_minor, sum(unapplied_minor) as unapplied_minor,
        sum(on_account_minor) as on_account_minor
    from payment_part group by company, payment_id
) s using (company, payment_id)
"""
PROMISE = """
create view bi_promise_v1 as
select company, promise_id, account_id, status, currency, amount_minor, received_minor, taken_on, due_on, grace_days,
    taken_by, corrected
from promise
"""
NOTICE = """
create view bi_notice_v1 as
select company, notice_id, account_id, level, kind, channel, policy, decided_on, status, outcome_on, sent_at,
    array(select distinct r ->> 'code' from jsonb_array_elements(reasons) as r order by 1) as reason_codes
from notice
"""
DISPUTE = """
create view bi_dispute_v1 as
select company, dispute_id, account_id, item_id, status, currency, disputed_minor, credited_minor, reason_code, owner,
    outcome, opened_on, due_on, resolved_on
from dispute
"""
HOLD = """
create view bi_hold_v1 as
select h.company, h.hold_id, h.account_id, h.kind, h.grade, h.status, h.cause, h.policy, h.approved_by, h.from_at,
    h.overdue_minor, h.currency, coalesce(e.confirmed_version, 0) as confirmed_version, h.version
from hold h
left join (
    select company, subject_id, max(version) as confirmed_version from effect where confirmed and of = 'hold'
    group by company, subject_id
) e on e.company = h.company and e.subject_id = h.hold_id
"""
DAY = """
create view bi_day_v1 as
select s.company, s.date, s.base_currency, s.figures -> 'dso' ->> 'simple' as dso_simple,
    (s.figures ->> 'cash_in_base_minor')::bigint as cash_in_base_minor,
    (s.figures -> 'aging_base' ->> 'gross_minor')::bigint as gross_base_minor,
    (s.figures -> 'aging_base' ->> 'net_minor')::bigint as net_base_minor,
    (s.figures ->> 'differences')::int as differences
from day_snapshot s
"""
NAMES = (
    "bi_open_item_v1", "bi_aging_v1", "bi_aging_day_v1", "bi_payment_v1", "bi_promise_v1", "bi_notice_v1",
    "bi_dispute_v1", "bi_hold_v1", "bi_day_v1",
)  # fmt: skip
VIEWS = (OPEN_ITEM, AGING, AGING_DAY, PAYMENT, PROMISE, NOTICE, DISPUTE, HOLD, DAY)
DROP_VIEWS = tuple(f"drop view if exists {name}" for name in reversed(NAMES))


def grants() -> Iterator[str]:
    """The reader sees the views and nothing else; without the role there is nobody to grant to."""
    yield f"""
    do $$ begin
        if exists (select from pg_roles where rolname = '{READER}') then
            grant select on {", ".join(NAMES)} to {READER};
        end if;
    end $$
    """
