"""The local store: an OCI image layout with images, the layers of images unpacked, and notes on what is known already.

One directory of the user's, mode 0700. Everything in it is content-addressed or written under a temporary name and
renamed, so that any number of corebox processes may use it at once and a killed one leaves only what the next cleans.
"""
