"""Settings of the service, secrets, and sizes that suit the machine."""
