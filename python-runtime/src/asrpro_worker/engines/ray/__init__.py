"""The engine that has its model on other machines."""
