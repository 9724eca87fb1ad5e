"""One file per bounce format that follows no standard, found by its name."""
