ALTER TABLE bank_statement ADD COLUMN code TEXT DEFAULT '' NOT NULL;

ALTER TABLE bank_statement ADD COLUMN times INTEGER DEFAULT '0' NOT NULL;

UPDATE bank_statement SET times = 1,
    code = CASE WHEN reason LIKE 'overlaps %' THEN 'overlap' ELSE split_part(reason, ':', 1) END
WHERE state IN ('held', 'unattributed');
