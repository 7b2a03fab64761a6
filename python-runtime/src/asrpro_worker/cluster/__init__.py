"""What runs on the machines of a Ray cluster, and the commands that make a machine one of them."""
