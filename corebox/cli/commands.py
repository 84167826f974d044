"""Which commands there are."""

#: Where each command is, in the order in which the help lists them.
COMMANDS = {
    "gather": "gather:command",
    "request": "request:command",
    "recover": "recover:command",
    "info": "info:command",
    "verify": "verify:command",
    "shell": "shell:command",
    "run": "run:command",
    "rerun": "rerun:command",
    "report": "report:command",
    "diff": "diff:command",
    "similar": "similar:command",
    "dap": "dap:command",
    "mi": "mi:command",
    "ide": "ide:command",
    "build": "build:command",
    "export": "export:command",
    "push": "push:command",
    "pull": "pull:command",
    "images": "images:command",
    "rm": "housekeeping:remove",
    "prune": "housekeeping:prune",
    "toolbox": "toolbox:command",
    "config": "config:command",
    "doctor": "doctor:command",
}
