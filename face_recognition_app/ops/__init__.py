"""Running the service: settings, health, metrics, set-up."""
