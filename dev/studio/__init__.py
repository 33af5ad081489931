"""A photo studio in numpy: meshes of electronics, a renderer, a lens, and scenes to shoot."""
