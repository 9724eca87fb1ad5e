-- How far the evidence of a recipient's event is trusted: better evidence is told to sinks that asked for it.
ALTER TABLE event ADD COLUMN grade TEXT;
-- How many addresses that were never written to report about a message.
CREATE INDEX recipient_unaddressed ON recipient (message) WHERE addressed = 0;
