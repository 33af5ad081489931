"""The networks, in Keras code: architecture here, weights from files."""
