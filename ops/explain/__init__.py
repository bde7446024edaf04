"""Why there was, or was no, reply."""
