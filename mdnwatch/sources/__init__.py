"""Where messages come from, one file per kind."""
