"""The WebSocket protocol without a socket: bytes in, messages out."""
