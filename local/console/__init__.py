"""The console of `make run` in a browser: phones, people's inbox, faults to inject, and the ledger of the promise.

Never shipped. `web.py` and `guard.py` are shared with the operator's console (`ops/console/`).

    children's log lines -> observer -> stories, phones, ledger -> feed -> server-sent events -> the page
    the page -> actions -> signed webhooks, people's replies, faults of the stubs, workers to kill
"""
