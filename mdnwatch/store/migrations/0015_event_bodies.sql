-- What was told of no message, and is still there to be read.
CREATE INDEX event_told_of_no_message ON event (created_at) WHERE message IS NULL AND body IS NOT NULL;
