"""Looks at the machine that it runs on: modules of the standard library alone, for any Python from 3.7 on.

The agent imports them; where there is no agent yet they are sent as one script to the machine's own Python.
"""
