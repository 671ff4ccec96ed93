"""Groups of settings, each a part of config.settings.Settings."""
