"""A node as a state machine: the real agents on real files, with everything around them in one deterministic loop.

Knows what a kubelet, an API server, a kernel and a disk may do to the plugin, and what must hold whatever they do.
"""
