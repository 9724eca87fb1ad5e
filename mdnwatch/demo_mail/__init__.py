"""Recorded mail for the demo: copies of sent messages, and real reports about them.

The reports were made by the software that they name. Message-IDs, addresses and subjects were replaced so that they
speak of six messages of one sender; the receipt in `reminder.contradicted.eml` was dated two weeks back.
"""
