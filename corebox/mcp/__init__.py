"""Tools for agents: what a person asks of a crash, over the Model Context Protocol.

Whoever made the core may have written to the agent in it: in a string, a symbol's name, a path. So every gdb runs in
the sandbox, no tool reaches a file of this machine or the network, what the environment held is blanked before gdb sees
the core, and every answer is bounded and fenced as data.
"""
