"""Audit trail: who did what, in one chain for each tenant that cannot be changed unseen."""
