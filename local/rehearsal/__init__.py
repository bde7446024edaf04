"""A stage deployed to the local AWS as to an account: for `make rehearse`, and for the tests of the deployment."""
