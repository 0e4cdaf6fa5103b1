"""The protocol compiler of grpcio-tools as a program."""

import sys
from importlib import resources

from grpc_tools import protoc

if __name__ == "__main__":
    sys.exit(protoc.main([*sys.argv, f"-I{resources.files('grpc_tools') / '_proto'}"]))
