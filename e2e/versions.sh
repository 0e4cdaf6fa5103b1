# What the cluster of the end-to-end tests is made of; sourced by e2e/setup.
KUBERNETES=v1.37.2
ETCD=v3.7.0
KIND=v0.33.0
HELM=v3.20.0
PROMETHEUS=v0.316.0    # the module's version of Prometheus 3.16.0
HOST_SUITE=trixie    # its podman still works on version 1 cgroups
NODE_SUITE=sid       # has the containerd and the tools of a current node
