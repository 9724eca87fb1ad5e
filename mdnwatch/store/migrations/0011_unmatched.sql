-- Reports of which it is told, after a grace time, that their message is not known. What waited before this was kept
-- is told to nobody.
ALTER TABLE report ADD COLUMN tell_unmatched INTEGER NOT NULL DEFAULT 0;
CREATE INDEX report_unmatched ON report (account, first_seen) WHERE tell_unmatched = 1;

-- Since when an account is watched: mail that is older says nothing of what should be known.
CREATE TABLE account_watch (
  account       TEXT PRIMARY KEY,
  since         INTEGER NOT NULL
) WITHOUT ROWID;
