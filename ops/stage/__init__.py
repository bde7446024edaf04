"""A deployed stage as an operator sees it."""
