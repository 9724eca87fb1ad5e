-- Messages that were registered by those who sent them: data of their own, and more ways to be found.

ALTER TABLE sent_message ADD COLUMN metadata TEXT;  -- JSON, as it was given

-- What names a message beside its Message-ID and its first envelope id, as model.correlation writes keys.
CREATE TABLE sent_key (
  key           TEXT NOT NULL,
  message       INTEGER NOT NULL REFERENCES sent_message ON DELETE CASCADE,
  recipient     TEXT,                       -- of a token: the one whom it was made for; NULL: everybody
  PRIMARY KEY (key, message)
) WITHOUT ROWID;
CREATE INDEX sent_key_message ON sent_key (message);
INSERT INTO sent_key (key, message) SELECT 'e:' || envelope_id, id FROM sent_message WHERE envelope_id IS NOT NULL;
DROP INDEX sent_message_envelope_id;
