"""Where templates are searched."""
