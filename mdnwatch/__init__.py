"""mdnwatch tells, per recipient, what became of sent mail: delivered, displayed, answered, and how that is known."""

__version__ = "0.1.0"
