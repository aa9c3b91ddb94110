CREATE TABLE bank_day (
    company TEXT NOT NULL,
    bank_account TEXT NOT NULL,
    currency TEXT NOT NULL,
    figure TEXT NOT NULL,
    accounted_on DATE NOT NULL,
    part INTEGER NOT NULL,
    minor BIGINT DEFAULT '0' NOT NULL,
    PRIMARY KEY (company, bank_account, currency, figure, accounted_on, part)
);

CREATE INDEX receipt_business ON receipt (company, business_date);

CREATE INDEX bank_debit_business ON bank_debit (company, business_date);

CREATE INDEX payment_posting_business ON payment_posting (company, business_date);

create function add_credits_to_bank_day() returns trigger language plpgsql as $$
begin
  insert into bank_day as d
    select company, bank_account, currency, 'credits_minor', accounted_on, pg_backend_pid() % 8, sum(amount_minor)
    from fresh group by 1, 2, 3, 5 order by 1, 2, 3, 5
    on conflict (company, bank_account, currency, figure, accounted_on, part)
    do update set minor = d.minor + excluded.minor;
  return null;
end $$;

create function add_debits_to_bank_day() returns trigger language plpgsql as $$
begin
  insert into bank_day as d
    select company, bank_account, currency, 'debits_minor', accounted_on, pg_backend_pid() % 8, sum(amount_minor)
    from fresh group by 1, 2, 3, 5 order by 1, 2, 3, 5
    on conflict (company, bank_account, currency, figure, accounted_on, part)
    do update set minor = d.minor + excluded.minor;
  return null;
end $$;

create function add_applied_to_bank_day() returns trigger language plpgsql as $$
begin
  insert into bank_day as d
    select company, bank_account, currency, 'applied_minor', accounted_on, pg_backend_pid() % 8, sum(delta_minor)
    from fresh where place = 'applied' group by 1, 2, 3, 5 order by 1, 2, 3, 5
    on conflict (company, bank_account, currency, figure, accounted_on, part)
    do update set minor = d.minor + excluded.minor;
  return null;
end $$;

create trigger receipt_by_day after insert on receipt referencing new table as fresh for each statement execute function add_credits_to_bank_day();

create trigger bank_debit_by_day after insert on bank_debit referencing new table as fresh for each statement execute function add_debits_to_bank_day();

create trigger payment_posting_by_day after insert on payment_posting referencing new table as fresh for each statement execute function add_applied_to_bank_day();

insert into bank_day
    select company, bank_account, currency, 'credits_minor', accounted_on, 0, sum(amount_minor)
    from receipt group by 1, 2, 3, 5
    union all
    select company, bank_account, currency, 'debits_minor', accounted_on, 0, sum(amount_minor)
    from bank_debit group by 1, 2, 3, 5
    union all
    select company, bank_account, currency, 'applied_minor', accounted_on, 0, sum(delta_minor)
    from payment_posting where place = 'applied' group by 1, 2, 3, 5;
