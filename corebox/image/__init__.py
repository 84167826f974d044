"""From a bundle to an image: the toolbox, the plan of the layers, the Dockerfile, and the native builder."""
