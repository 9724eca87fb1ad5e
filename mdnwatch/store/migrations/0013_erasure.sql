-- What stays of what was erased: keyed hashes, by which it is known again and not kept.
CREATE TABLE tombstone (
  hash          BLOB PRIMARY KEY,           -- of the key of a message; of that and a recipient; of an address
  erased_at     INTEGER NOT NULL            -- of an address: mail that was sent until then is erased
) WITHOUT ROWID;

-- What is old enough to be erased by itself.
CREATE INDEX sent_message_sent_at ON sent_message (sent_at) WHERE sent_at IS NOT NULL;
