"""From a bundle to an image: the toolbox, the plan of the layers, the Dockerfile, and the native builder.

Its modules are imported one by one: who opens an image waits for Python to start, and needs no builder.
"""
