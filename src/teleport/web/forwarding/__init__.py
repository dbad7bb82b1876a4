"""A streaming HTTP/1.1 reverse proxy over asyncio transports; who may reach what, and how, is asked of a chooser.

A body is never kept as a whole, nothing is sent twice, and a request's target is passed on as it stands.
"""
