"""The programs that people type: what is asked on the command line becomes calls, and answers become text."""
