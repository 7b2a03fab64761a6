"""Code that runs on the machines of a Ray cluster, and the commands that add a machine to one."""
