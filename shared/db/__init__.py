"""The tables, and the statements that move rows through them."""
