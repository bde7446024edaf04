"""The operator's command line: `replies-engine`. Never shipped to Lambda.

It works on any stage at any endpoint, with the deployed code's own settings, tables, protocol and use cases: what it
does to a conversation is what the engine itself would do, under the same conditions.
"""

VERSION = "0.1.0"
"""Of the whole project, as `pyproject.toml` has it."""
