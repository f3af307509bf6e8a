"""gRPC as what carries links: one stream of bytes messages for each, on machines that have grpcio. Nothing else imports it."""
