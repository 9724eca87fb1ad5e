-- The outbox: one notification for each event and sink, and the endpoint of each sink. Times are integers:
-- milliseconds since 1970, UTC.

CREATE TABLE notification (
  id            INTEGER PRIMARY KEY,        -- rising: the order in which events of one order_key go out
  event         TEXT NOT NULL REFERENCES event,
  sink          TEXT NOT NULL,
  order_key     TEXT NOT NULL,
  state         TEXT NOT NULL,              -- waiting, head, leased, delivered, given_up
  attempts      INTEGER NOT NULL DEFAULT 0, -- written before they are made
  rejections    INTEGER NOT NULL DEFAULT 0, -- attempts after which the event, not the endpoint, was to blame
  waited        INTEGER NOT NULL DEFAULT 0, -- milliseconds that its own failures have cost so far
  due_at        INTEGER NOT NULL,
  not_before    INTEGER NOT NULL DEFAULT 0, -- an endpoint that comes back makes nothing due earlier than this
  attempted_at  INTEGER,                    -- the start of the last attempt
  last_error    TEXT,
  created_at    INTEGER NOT NULL,
  finished_at   INTEGER,
  UNIQUE (event, sink)
);
-- What is due: a million waiting ones do not stand in it.
CREATE INDEX notification_due ON notification (sink, due_at, id) WHERE state = 'head';
-- What comes next for a recipient.
CREATE INDEX notification_unfinished ON notification (sink, order_key, id) WHERE finished_at IS NULL;
-- What an earlier process has left behind.
CREATE INDEX notification_leased ON notification (state) WHERE state = 'leased';

CREATE TABLE endpoint (
  sink          TEXT PRIMARY KEY,
  identity      TEXT NOT NULL,              -- a hash of where and how to send
  failures      INTEGER NOT NULL,           -- in a row
  down_since    INTEGER,
  next_probe_at INTEGER,
  announced     INTEGER NOT NULL,           -- whether sink.down was told
  disabled_at   INTEGER,
  reason        TEXT NOT NULL
) WITHOUT ROWID;
