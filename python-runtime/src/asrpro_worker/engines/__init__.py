"""One folder an engine, behind the Protocol of protocol.py."""
