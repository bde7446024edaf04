"""A conversation: its record, rules, routing, contexts and its way to people."""
