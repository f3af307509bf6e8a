"""The controller's side of a running pipeline: deploys, streams, certifies, ends it."""
