"""The border to HTTP: connections, TLS, limits and statuses; nothing here knows what a request means."""
