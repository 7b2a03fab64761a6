"""The engine that runs its model on a Ray cluster."""
