"""From labelled photos to a model artifact. The only users of TensorFlow."""
