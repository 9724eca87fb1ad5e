"""From the bytes of a message to a report; pure, without I/O."""
