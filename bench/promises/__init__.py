"""The same customers and the same faults, played over several designs, and what each made of them, counted."""
