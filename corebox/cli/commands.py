"""Which commands there are."""

#: Where each command is, by what a person wants, in the order in which the help lists them.
GROUPS = {
    "At the customer site": {
        "gather": "gather:command",
        "request": "request:command",
        "known": "known:command",
    },
    "Open a crash": {
        "info": "info:command",
        "verify": "verify:command",
        "recover": "recover:command",
        "import": "imports:command",
        "shell": "shell:command",
        "run": "run:command",
        "rerun": "rerun:command",
        "report": "report:command",
        "dap": "dap:command",
        "mi": "mi:command",
        "ide": "ide:command",
        "mcp": "mcp:command",
    },
    "Share a crash": {
        "build": "build:command",
        "export": "export:command",
        "push": "push:command",
        "pull": "pull:command",
    },
    "Many crashes": {
        "similar": "similar:command",
        "diff": "diff:command",
        "fleet": "fleet.group:command",
    },
    "Housekeeping": {
        "images": "images:command",
        "rm": "housekeeping:remove",
        "prune": "housekeeping:prune",
        "toolbox": "toolbox:command",
        "config": "config:command",
        "doctor": "doctor:command",
        "completion": "completion:command",
        "help": "help:command",
    },
}
COMMANDS = {name: place for group in GROUPS.values() for name, place in group.items()}
