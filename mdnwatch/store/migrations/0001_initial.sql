-- Reports, evidence, sent mail, states and events. Times are integers: milliseconds since 1970, UTC.

CREATE TABLE sent_message (
  id            INTEGER PRIMARY KEY,
  message_id    TEXT NOT NULL,              -- with angle brackets
  from_address  TEXT NOT NULL,              -- normalised
  account       TEXT NOT NULL,
  subject       TEXT NOT NULL,
  sent_at       INTEGER,
  requested     TEXT NOT NULL,              -- JSON
  envelope_id   TEXT,
  reference     TEXT,
  UNIQUE (message_id, from_address)
);
CREATE INDEX sent_message_envelope_id ON sent_message (envelope_id) WHERE envelope_id IS NOT NULL;

-- States are derived data; they are kept so that they can be read without the evidence.
CREATE TABLE recipient (
  message       INTEGER NOT NULL REFERENCES sent_message ON DELETE CASCADE,
  mailbox       TEXT NOT NULL,              -- the address without case and sub-address, by which it is found
  address       TEXT NOT NULL,              -- as written in the copy, or as reported; '' where that is the mailbox
  addressed     INTEGER NOT NULL,
  sequence      INTEGER NOT NULL DEFAULT 0, -- events so far
  state         TEXT,                       -- JSON; NULL while there is no evidence
  PRIMARY KEY (message, mailbox, address)
) WITHOUT ROWID;
CREATE INDEX recipient_mailbox ON recipient (mailbox);

CREATE TABLE report (
  id            TEXT PRIMARY KEY,           -- report_id
  kind          TEXT NOT NULL,              -- mdn, dsn, malformed
  account       TEXT NOT NULL,              -- where it was first seen
  announce      INTEGER NOT NULL,
  first_seen    INTEGER NOT NULL,           -- by mdnwatch
  observed_at   INTEGER NOT NULL,           -- the earliest time a mail server took a sighting in
  outcome       TEXT NOT NULL,              -- matched, waiting, ambiguous, malformed
  message       INTEGER REFERENCES sent_message ON DELETE SET NULL,
  rung          TEXT,
  content       TEXT NOT NULL               -- JSON: what was read, as model.stored writes it
);
CREATE INDEX report_waiting ON report (account, first_seen) WHERE outcome = 'waiting';
CREATE INDEX report_message ON report (message) WHERE message IS NOT NULL;

-- The keys by which a report names the sent message; a new sent message looks here for what waits for it.
CREATE TABLE report_key (
  key           TEXT NOT NULL,
  report        TEXT NOT NULL REFERENCES report ON DELETE CASCADE,
  PRIMARY KEY (key, report)
) WITHOUT ROWID;
-- Dropping a report takes its keys along.
CREATE INDEX report_key_report ON report_key (report);

CREATE TABLE evidence (
  report        TEXT NOT NULL REFERENCES report ON DELETE CASCADE,
  block         INTEGER NOT NULL,
  message       INTEGER REFERENCES sent_message ON DELETE SET NULL,
  recipient     TEXT,
  grade         TEXT,
  reasons       TEXT NOT NULL DEFAULT '[]', -- JSON
  content       TEXT NOT NULL,              -- JSON, immutable
  PRIMARY KEY (report, block)
) WITHOUT ROWID;
CREATE INDEX evidence_recipient ON evidence (message, recipient) WHERE message IS NOT NULL;

CREATE TABLE sighting (
  report        TEXT NOT NULL REFERENCES report ON DELETE CASCADE,
  account       TEXT NOT NULL,
  folder        TEXT NOT NULL,
  uidvalidity   INTEGER NOT NULL,
  uid           INTEGER NOT NULL,
  name          TEXT NOT NULL,
  PRIMARY KEY (report, account, folder, uidvalidity, uid, name)
) WITHOUT ROWID;

-- An event without a body was known before anybody was to be told (backfill); it keeps a later one from being told.
CREATE TABLE event (
  id            TEXT PRIMARY KEY,
  type          TEXT NOT NULL,
  message       INTEGER,
  recipient     TEXT,
  sequence      INTEGER,
  created_at    INTEGER NOT NULL,
  body          TEXT                        -- JSON, as every sink gets it
);
CREATE INDEX event_created_at ON event (created_at);
CREATE INDEX event_message ON event (message) WHERE message IS NOT NULL;

-- How many events of a report.* type an account has caused in an hour: backscatter comes by the thousand.
CREATE TABLE event_rate (
  type          TEXT NOT NULL,
  account       TEXT NOT NULL,
  hour          INTEGER NOT NULL,           -- hours since 1970, UTC
  count         INTEGER NOT NULL,
  PRIMARY KEY (type, account, hour)
) WITHOUT ROWID;

CREATE TABLE mark (
  account       TEXT NOT NULL,
  folder        TEXT NOT NULL,
  uidvalidity   INTEGER NOT NULL,
  live          INTEGER NOT NULL,
  backfill_from INTEGER NOT NULL,
  backfill_to   INTEGER NOT NULL,
  PRIMARY KEY (account, folder)
) WITHOUT ROWID;

CREATE TABLE maildir_name (
  account       TEXT NOT NULL,
  folder        TEXT NOT NULL,
  name          TEXT NOT NULL,
  PRIMARY KEY (account, folder, name)
) WITHOUT ROWID;
