"""The proxy for people with a browser: signing in, choosing an application, signing out; and the same as JSON.

Nothing of it is kept here: who somebody is and what they may open, auth says at each request. No page needs a script.
"""
