"""A fleet of crashes: they arrive, are looked at, counted, grouped and searched, each one command away from its prompt.

The truth is two sets, the crashes that were received and those that were reported; the work is their difference. So a
worker that is killed, a new release of corebox and new symbols need nothing of their own: what is not in the second set
is done again, and doing it twice changes nothing.
"""
