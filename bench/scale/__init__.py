"""How much a deployment carries: its parts' ceilings, and what happens at and beyond them."""
