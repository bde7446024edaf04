"""The console of a deployed stage, in a browser, with the operator's own credentials; nothing of it is deployed."""
