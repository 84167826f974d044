"""How a crash's core comes to gdb."""

#: Block by block from where it lies, if this machine and the engine can; in any case so; or as a whole.
AUTO, ON_DEMAND, WHOLE = "auto", "on-demand", "whole"
CORES = (AUTO, ON_DEMAND, WHOLE)
