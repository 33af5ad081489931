"""How long after its event a photo is tagged, while events come at half the full pace."""
