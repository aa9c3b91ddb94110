ALTER TABLE staged_record ADD COLUMN traceparent TEXT DEFAULT '' NOT NULL;
