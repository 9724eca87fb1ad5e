"""Recorded mail for the demo: copies of sent messages, and real reports about them."""
