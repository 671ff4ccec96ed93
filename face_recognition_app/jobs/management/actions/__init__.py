"""What `manage.py jobs` does beside running workers; each module adds its action, whose function is `act`."""
