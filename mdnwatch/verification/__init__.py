"""Whether a report comes from whom it says: what its signatures prove, asked once, when it arrives."""
