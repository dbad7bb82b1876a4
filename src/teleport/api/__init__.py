"""The contract between processes: what may be asked, what is answered, and a typed client for it."""
