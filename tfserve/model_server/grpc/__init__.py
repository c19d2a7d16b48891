"""The gRPC APIs: PredictionService, ModelService and health."""
