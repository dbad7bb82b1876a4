"""Manifests in files, before any API server has seen them: their faults, and how to mend them.

`text.py` finds the documents and lines, `faults.py` what is wrong, `correction.py` what mends it.
"""
