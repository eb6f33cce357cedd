"""What is kept on disk: run and study directories, provenance, atomic writes."""
