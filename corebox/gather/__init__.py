"""The customer's side: decides which files a core needs, finds them, proves them, and writes the bundle.

Nothing of the target is run, not even ``ldd``; nothing is sent anywhere. Python 3.6, standard library only.
"""
