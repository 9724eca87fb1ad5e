-- Events get a number that rises from one to the next and is never given again, so that whoever was away can ask for
-- what came after the last one they had.
ALTER TABLE event ADD COLUMN number INTEGER;
UPDATE event SET number = earlier.number
  FROM (SELECT id, row_number() OVER (ORDER BY created_at, rowid) AS number FROM event) AS earlier
  WHERE event.id = earlier.id;
CREATE UNIQUE INDEX event_number ON event (number);

-- One row: the last number that was given, also to an event that is gone.
CREATE TABLE event_counter (
  last          INTEGER NOT NULL
);
INSERT INTO event_counter (last) SELECT count(*) FROM event;
