"""Groups of commands: their names and options only; each body is one call."""
