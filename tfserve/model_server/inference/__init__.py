"""What every API asks of a model, and where it runs: between the REST and gRPC APIs above and the models below."""
