"""Whether photos' tags help search: what is found when sellers' words are dropped or spammed."""
