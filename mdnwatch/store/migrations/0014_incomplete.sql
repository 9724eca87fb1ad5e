-- A message of which recipients were erased: one that is left may not be its only one.
ALTER TABLE sent_message ADD COLUMN incomplete INTEGER NOT NULL DEFAULT 0;
