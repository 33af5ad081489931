"""The network, the artifact it is shipped as, and the tagger that serves it."""
