"""What tests share: a writer of ELF files and cores, and the real cores of ``tests/cores``."""
