"""The program `teleport`: it runs a process of the cluster, and prepares a host for one."""
