"""Writes of the transaction, one statement per table. Text arrays inside rows travel joined by the unit separator."""

UNIT = "\x1f"

ACCOUNTS = """
insert into account (company, account_id, name, currency, bank_accounts, registered, party_id)
select company, account_id, name, currency, string_to_array(banks, E'\\x1f'), registered, party_id
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::text[])
  as a(company, account_id, name, currency, banks, registered, party_id)
on conflict (company, account_id) do update set name = excluded.name, currency = excluded.currency,
  bank_accounts = excluded.bank_accounts, registered = excluded.registered, party_id = excluded.party_id
"""

ACCOUNT_KEYS_GONE = """
delete from account_lookup_key using unnest($1::text[], $2::text[]) as a(company, account_id)
where account_lookup_key.company = a.company and account_lookup_key.account_id = a.account_id
"""

ACCOUNT_KEYS = """
insert into account_lookup_key (company, key, account_id) select * from unnest($1::text[], $2::text[], $3::text[])
"""

LINKS = """
insert into account_link (company, account_id, to_account_id, kind, from_on, to_on)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::date[], $6::date[])
on conflict (company, account_id, to_account_id, kind) do update set from_on = excluded.from_on, to_on = excluded.to_on
"""

LINKS_GONE = """
delete from account_link using unnest($1::text[], $2::text[], $3::text[], $4::text[])
  as gone(company, account_id, to_account_id, kind)
where account_link.company = gone.company and account_link.account_id = gone.account_id
  and account_link.to_account_id = gone.to_account_id and account_link.kind = gone.kind
"""

CASH = """
insert into account_cash (company, account_id, currency, unapplied_minor, on_account_minor, version)
select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (company, account_id, currency) do update set unapplied_minor = excluded.unapplied_minor,
  on_account_minor = excluded.on_account_minor, version = excluded.version
"""

DOCUMENTS = """
insert into document (company, document_id, account_id, document_type, number, currency, total_minor, document_on,
  business_date, cancelled_on, replaced_by)
select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::date[],
  $9::date[], $10::date[], $11::uuid[])
on conflict (company, document_id) do update set cancelled_on = excluded.cancelled_on,
  replaced_by = excluded.replaced_by
"""

WAITS = """
insert into document_wait (company, document_id, kind, other_id, amount_minor, keeps_due_date, "on")
select * from unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::bool[], $7::date[])
on conflict do nothing
"""

WAITS_DONE = """
delete from document_wait using unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[])
  as done(company, document_id, kind, other_id)
where document_wait.company = done.company and document_wait.document_id = done.document_id
  and document_wait.kind = done.kind and document_wait.other_id = done.other_id
"""

ITEMS_CHANGED = """
update open_item set remaining_minor = c.remaining_minor, disputed_minor = c.disputed_minor,
  relief_cash = c.cash, relief_credit = c.credit, relief_discount = c.discount,
  relief_small_difference = c.small_difference, relief_bank_charge = c.bank_charge, relief_commission = c.commission,
  relief_write_off = c.write_off, relief_moved = c.moved, relief_fx = c.fx, relief_cancelled = c.cancelled,
  due_on = c.due_on, accounted_on = c.accounted_on, version = c.version, posting_id = c.posting_id
from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
  $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::date[], $16::date[],
  $17::bigint[], $18::uuid[])
  as c(company, item_id, remaining_minor, disputed_minor, cash, credit, discount, small_difference, bank_charge,
  commission, write_off, moved, fx, cancelled, due_on, accounted_on, version, posting_id)
where open_item.company = c.company and open_item.item_id = c.item_id
"""

ITEMS_OPENED = """
insert into open_item (company, item_id, document_id, line, number, kind, side, account_id, currency, original_minor,
  remaining_minor, disputed_minor, relief_cash, relief_credit, relief_discount, relief_small_difference,
  relief_bank_charge, relief_commission, relief_write_off, relief_moved, relief_fx, relief_cancelled, document_on,
  due_on, business_date, accounted_on, payment_reference, discounts, base_currency, rate, rate_id, version, posting_id)
select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
  $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
  $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::date[], $24::date[],
  $25::date[], $26::date[], $27::text[], $28::jsonb[], $29::text[], $30::numeric[], $31::text[], $32::bigint[],
  $33::uuid[])
"""

RECEIPTS = """
insert into receipt (company, payment_id, bank_account, currency, amount_minor, open_minor, unidentified_minor,
  refunded_minor, non_ar_minor, returned_minor, gain_minor, document_on, valued_on, accounted_on, business_date,
  base_currency, rate, rate_id, view, posting_id, account_id, outcome, reason_code, rule, flags, certificate_id,
  by_person, tried_on, version)
select company, payment_id, bank_account, currency, amount_minor, open_minor, unidentified_minor, refunded_minor,
  non_ar_minor, returned_minor, gain_minor, document_on, valued_on, accounted_on, business_date, base_currency, rate,
  rate_id, view, posting_id, account_id, outcome, reason_code, rule, string_to_array(flags, E'\\x1f'), certificate_id,
  by_person, tried_on, version
from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
  $9::bigint[], $10::bigint[], $11::bigint[], $12::date[], $13::date[], $14::date[], $15::date[], $16::text[],
  $17::numeric[], $18::text[], $19::jsonb[], $20::uuid[], $21::text[], $22::text[], $23::text[], $24::text[],
  $25::text[], $26::uuid[], $27::bool[], $28::date[], $29::bigint[])
  as r(company, payment_id, bank_account, currency, amount_minor, open_minor, unidentified_minor, refunded_minor,
  non_ar_minor, returned_minor, gain_minor, document_on, valued_on, accounted_on, business_date, base_currency, rate,
  rate_id, view, posting_id, account_id, outcome, reason_code, rule, flags, certificate_id, by_person, tried_on,
  version)
on conflict (company, payment_id) do update set open_minor = excluded.open_minor,
  unidentified_minor = excluded.unidentified_minor, refunded_minor = excluded.refunded_minor,
  non_ar_minor = excluded.non_ar_minor, returned_minor = excluded.returned_minor, gain_minor = excluded.gain_minor,
  accounted_on = excluded.accounted_on, account_id = excluded.account_id, outcome = excluded.outcome,
  reason_code = excluded.reason_code, rule = excluded.rule, flags = excluded.flags,
  certificate_id = excluded.certificate_id, by_person = excluded.by_person, tried_on = excluded.tried_on,
  version = excluded.version
"""

PARTS = """
insert into receipt_part (company, payment_id, account_id, applied_minor, unapplied_minor, on_account_minor)
select * from unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (company, payment_id, account_id) do update set applied_minor = excluded.applied_minor,
  unapplied_minor = excluded.unapplied_minor, on_account_minor = excluded.on_account_minor
"""

RECEIPT_KEYS = """
insert into receipt_key (company, key, payment_id) select * from unnest($1::text[], $2::text[], $3::uuid[])
on conflict do nothing
"""

APPLICATIONS_REVERSED = """
update application set reversed_by = r.reversed_by
from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as r(posting_id, item_id, reversed_by)
where application.posting_id = r.posting_id and application.item_id = r.item_id
"""

CREDIT_USES = """
insert into credit_use (company, posting_id, credit_item_id, debit_item_id, amount_minor, reversed_by)
select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::uuid[])
"""

CREDIT_USES_REVERSED = """
update credit_use set reversed_by = r.reversed_by
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) as r(posting_id, credit_item_id, debit_item_id, reversed_by)
where credit_use.posting_id = r.posting_id and credit_use.credit_item_id = r.credit_item_id
  and credit_use.debit_item_id = r.debit_item_id
"""

SUGGESTIONS_GONE = """
delete from suggestion using unnest($1::text[], $2::uuid[]) as s(company, payment_id)
where suggestion.company = s.company and suggestion.payment_id = s.payment_id
"""

SUGGESTIONS = """
insert into suggestion (company, payment_id, rank, account_id, items, rule, why, chance, certificate_id)
select * from unnest($1::text[], $2::uuid[], $3::int[], $4::text[], $5::jsonb[], $6::text[], $7::text[], $8::text[],
  $9::uuid[])
"""

CANDIDATES = """
insert into candidate (candidate_id, company, origin_id, group_id, account_id, payment_id, amount_minor, currency,
  evidence, source, since_on, open)
select candidate_id, company, origin_id, group_id, account_id, payment_id, amount_minor, currency,
  string_to_array(evidence, E'\\x1f'), source, since_on, open
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::bigint[], $8::text[],
  $9::text[], $10::text[], $11::date[], $12::bool[])
  as c(candidate_id, company, origin_id, group_id, account_id, payment_id, amount_minor, currency, evidence, source,
  since_on, open)
on conflict (candidate_id) do update set group_id = excluded.group_id, payment_id = excluded.payment_id,
  amount_minor = excluded.amount_minor, evidence = excluded.evidence, source = excluded.source,
  since_on = excluded.since_on, open = excluded.open
"""

UNBOOKED_GONE = """
delete from unbooked_cash using unnest($1::text[], $2::uuid[]) as gone(company, origin_id)
where unbooked_cash.company = gone.company and unbooked_cash.origin_id = gone.origin_id
"""

UNBOOKED = """
insert into unbooked_cash (company, origin_id, group_id, payment_id, source, currency, amount_minor, valued_on,
  since_on, view, keys)
select company, origin_id, group_id, payment_id, source, currency, amount_minor, valued_on, since_on, view,
  string_to_array(keys, E'\\x1f')
from unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::date[],
  $9::date[], $10::jsonb[], $11::text[])
  as u(company, origin_id, group_id, payment_id, source, currency, amount_minor, valued_on, since_on, view, keys)
on conflict (company, origin_id) do update set group_id = excluded.group_id, payment_id = excluded.payment_id,
  source = excluded.source, currency = excluded.currency, amount_minor = excluded.amount_minor,
  valued_on = excluded.valued_on, view = excluded.view, keys = excluded.keys
"""

CERTIFICATES = """
insert into certificate (certificate_id, company, payment_id, posting_id, content, snapshot)
select c.certificate_id, c.company, c.payment_id, c.posting_id, c.content, $6::text::pg_snapshot
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::jsonb[])
  as c(certificate_id, company, payment_id, posting_id, content)
"""

OPEN_DEBITS = """
insert into open_debit (company, debit_id, bank_account, currency, amount_minor, left_minor, valued_on, accounted_on,
  reason_code, keys, payment_id)
select company, debit_id, bank_account, currency, amount_minor, left_minor, valued_on, accounted_on, reason_code,
  string_to_array(keys, E'\\x1f'), payment_id
from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::date[], $8::date[],
  $9::text[], $10::text[], $11::uuid[])
  as d(company, debit_id, bank_account, currency, amount_minor, left_minor, valued_on, accounted_on, reason_code, keys,
  payment_id)
on conflict (company, debit_id) do update set left_minor = excluded.left_minor, payment_id = excluded.payment_id
"""

REFUNDS = """
insert into refund (company, refund_id, account_id, payment_id, amount_minor, currency, bank_account, status,
  requested_by, requested_on, from_place, approved_by, approved_on, approval_id, version)
select * from unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::text[],
  $9::text[], $10::date[], $11::text[], $12::text[], $13::date[], $14::uuid[], $15::bigint[])
on conflict (company, refund_id) do update set status = excluded.status, approved_by = excluded.approved_by,
  approved_on = excluded.approved_on, approval_id = excluded.approval_id, version = excluded.version
"""

DISPUTES = """
insert into item_dispute (company, dispute_id, item_id, version, held_minor)
select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[])
on conflict (company, dispute_id) do update set version = excluded.version, held_minor = excluded.held_minor
"""

STATEMENTS = """
insert into statement (company, bank_account, statement_id, currency, from_on, to_on, opening_minor, closing_minor,
  credits_minor, debits_minor, lines)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::date[], $6::date[], $7::bigint[], $8::bigint[],
  $9::bigint[], $10::bigint[], $11::int[])
on conflict do nothing
"""

POSTING_COLUMNS = (
    "posting_id", "company", "kind", "origin", "currency", "base_currency", "rate_id", "cause_id", "account_id",
    "payment_id", "reverses_posting_id", "reason_code", "rule", "policy", "certificate_id", "actor", "business_date",
    "valued_on", "accounted_on", "known_at",
)  # fmt: skip
LINE_COLUMNS = (
    "posting_id", "company", "ledger", "currency", "amount_minor", "base_minor", "account_id", "item_id", "side",
    "payment_id", "bank_account", "funding", "accounted_on",
)  # fmt: skip
APPLICATION_COLUMNS = (
    "posting_id", "item_id", "company", "payment_id", "account_id", "side", "cash_minor", "discount_minor",
    "small_difference_minor", "bank_charge_minor", "deduction_minor", "deduction_item_id", "gain_minor", "rule",
    "reversed_by",
)  # fmt: skip
ITEM_KEY_COLUMNS = ("company", "key", "item_id", "account_id")
