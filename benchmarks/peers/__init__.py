"""The libraries that hessdiag is measured against, each behind one small interface."""
