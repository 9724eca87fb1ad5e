-- The keys with which tokens are made, the newest last; a token that names an older one is still known.
CREATE TABLE stamp_key (
  number        INTEGER PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,       -- stands at the head of each token
  secret        BLOB NOT NULL,
  created_at    INTEGER NOT NULL
);
