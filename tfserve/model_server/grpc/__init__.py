"""The gRPC APIs: PredictionService, ModelService and health, and tensors in their protobuf form."""
