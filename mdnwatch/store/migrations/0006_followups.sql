-- When the silence of a recipient is to be looked at; NULL where nothing more is to be told of it, or never was.
ALTER TABLE recipient ADD COLUMN due_at INTEGER;
CREATE INDEX recipient_due ON recipient (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX recipient_open ON recipient (message) WHERE due_at IS NOT NULL;
