"""The operator's command line: `python -m ops`. Never shipped to Lambda.

It works on any stage at any endpoint, with the deployed code's own settings, tables, protocol and use cases: what it
does to a conversation is what the engine itself would do, under the same conditions.
"""
