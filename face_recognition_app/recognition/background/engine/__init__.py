"""The engine that background jobs share: a process of its own, in the lowest class of service.

Jobs run in many short parts, in whichever process of a worker is idle, and an engine takes seconds to load. So it stays
in a process beside them, which ends with the worker that started it, and when no job has needed it for a while. It has
no connection to the database: a process that the live streams leave no time must not hold a lock that they wait for.
"""
