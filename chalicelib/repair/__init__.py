"""Repairs and retries: stalled locks, orphans, failed messages, dead letters."""
