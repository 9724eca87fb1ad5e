-- Outages of accounts that were told and are not over, so that a restart neither repeats nor forgets them.

CREATE TABLE source_outage (
  account       TEXT PRIMARY KEY,
  since         INTEGER NOT NULL,           -- ms UTC
  cause         TEXT NOT NULL,
  reason        TEXT NOT NULL
) WITHOUT ROWID;
