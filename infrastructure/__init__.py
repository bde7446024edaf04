"""What puts a stage into an account: the stack, the rights of its functions, the deployment. Never shipped."""
