"""Stateless kernels of the network, and the objective as a sum over blocks of rows."""
