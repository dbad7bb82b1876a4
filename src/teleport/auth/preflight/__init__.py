"""Whether an auth server could judge pods where it is: facts are asked for here, and pure functions say what they mean.

What no join needs is told apart from what is missing, so that nobody grants more than the token resources ask for.
"""
