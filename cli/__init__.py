"""The command line of hessdiag; importing it imports no JAX."""
