"""Stage 1: a webhook's message is received, and its provider answered."""
