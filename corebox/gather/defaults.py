"""What both the options and those who carry them out must know, in a file that is read in no time."""

#: Where systemd-coredump keeps cores.
COREDUMPS = "/var/lib/systemd/coredump"
#: Stands in the manifest's list of what is not taken, in the place of a path: what is wrong with package databases.
PACKAGES = "[packages]"
