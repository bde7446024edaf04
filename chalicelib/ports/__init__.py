"""What the engine asks of a table, a queue and a bucket."""
