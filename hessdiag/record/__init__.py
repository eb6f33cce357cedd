"""What is kept on disk: the schema of probes, run and study directories, provenance."""
