"""A conversation: its record, rules, routing, contexts and handoff to people."""
