"""The JSON Schema of each type of event; made by tests/make_schemas.py."""
