"""``python -m corebox.ondemand``: the process that ``mount`` starts."""

from corebox.ondemand.serve import main

main()
