-- What the database keeps for itself: secrets of its own.
CREATE TABLE setting (
  name          TEXT PRIMARY KEY,
  value         BLOB NOT NULL
) WITHOUT ROWID;

-- Replies that may still find their message, for at most `reply_wait`. Of who answers, and of what is answered, there
-- are only keyed hashes.
CREATE TABLE held_reply (
  id            TEXT PRIMARY KEY,           -- report_id
  account       TEXT NOT NULL,              -- where it was first seen
  announce      INTEGER NOT NULL,
  held_since    INTEGER NOT NULL,
  observed_at   INTEGER NOT NULL,           -- the earliest time a mail server took a sighting in
  sender        TEXT NOT NULL,              -- JSON: hashes of the address, strictest form first
  place         TEXT NOT NULL,              -- JSON: where it was first seen
  report        TEXT NOT NULL,              -- JSON as in report.content, without keys and sender
  evidence      TEXT NOT NULL               -- JSON as in evidence.content, without the recipient
) WITHOUT ROWID;
CREATE INDEX held_reply_account ON held_reply (account, held_since);

-- One row for each message that may be meant. A new sent message looks here, with each of its recipients.
CREATE TABLE held_reply_key (
  hash          BLOB NOT NULL,              -- of Message-ID and sender
  reply         TEXT NOT NULL REFERENCES held_reply ON DELETE CASCADE,
  position      INTEGER NOT NULL,           -- on the ladder of the reply
  rung          TEXT NOT NULL,
  PRIMARY KEY (hash, reply)
) WITHOUT ROWID;
CREATE INDEX held_reply_key_reply ON held_reply_key (reply);
