"""Whether new listings wait for a back catalogue that is being tagged."""
