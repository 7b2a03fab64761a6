"""The engines, one folder each, behind the Protocol in protocol.py."""
