"""The compute engine: pixels in, observations out. Imports no Django, no Channels and no asyncio."""
