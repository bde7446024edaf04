"""What is repaired or tried again: stalled locks, orphans, retries, dead letters."""
