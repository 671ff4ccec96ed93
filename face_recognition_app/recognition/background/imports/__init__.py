"""Enrolment of people from a folder, a zip file or a list of pictures."""
