"""Enrolment of many people at once."""
