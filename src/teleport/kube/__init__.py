"""The Kubernetes API, as far as it is needed to judge who joins.

Here it is asked, and its answers are copied; what an answer means is decided by pure functions.
"""
