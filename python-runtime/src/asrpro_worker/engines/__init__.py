"""One file an engine, behind the Protocol of base.py."""
