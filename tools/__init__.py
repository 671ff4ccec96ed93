"""Commands for people who work on the service."""

import testkit as testkit  # Its import makes the deployed packages (`core`) importable.
