"""Ways to prove who you are: one file for each method, with both halves in it, the proving and the judging."""
