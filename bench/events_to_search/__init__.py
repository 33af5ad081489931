"""How long after its event a listing's tags, document and search hit have followed."""
