"""Facts out of core files and ELF files.

Nothing here executes, loads or interprets as code any byte of the target: files are read, never run. Every input is
taken as hostile: any bytes give facts or a ``CoreboxError``, in bounded time and memory.
"""
