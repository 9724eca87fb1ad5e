-- The SHA-256 of the mail itself, in hexadecimal, as it stood at that place; NULL where not all of it was fetched.
ALTER TABLE sighting ADD COLUMN sha256 TEXT;

-- How often a domain answers. Behind the last "@": a quoted local part may hold others.
CREATE INDEX recipient_domain ON recipient (substr(mailbox, length(rtrim(mailbox, replace(mailbox, '@', ''))) + 1), message);
