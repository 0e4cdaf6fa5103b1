"""Which engine keeps records of claims: one small file each, or SQLite; both durable, by turns in one run.

Knows what a claim costs its store. Refuses to know the rest of a Prepare.
"""
