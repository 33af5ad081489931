"""How many photos a second, and for how much CPU: this pipeline beside other ways."""
