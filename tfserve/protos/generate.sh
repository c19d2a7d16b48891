#!/bin/sh
# Regenerates the *_pb2 modules beside this file. An old protoc on purpose: what 4.25 generates runs on every
# protobuf from 4.25 on, so tfserve fits beside any TensorFlow.
set -eu
cd "$(dirname "$0")/../.."
python -m grpc_tools.protoc --version | grep -q 'libprotoc 25' || {
    echo "pip install 'grpcio-tools==1.62.3' 'setuptools<80' first" >&2
    exit 1
}
python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. tfserve/protos/*.proto
