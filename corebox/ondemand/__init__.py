"""A core that is read where it lies: block by block, as gdb asks, out of a bundle's frames or a registry's blob.

``source`` says what a core is then, ``framed`` and ``layer`` make it of a local file, ``remote`` of a registry's blob;
``cache`` keeps what was read, and ``filesystem`` shows it as a file through FUSE. That runs in a process of its own
(``serve``), which ``mount`` starts and ends.
"""
