"""torch RPC as what carries links, for comparison, on machines that have torch. Nothing else imports it."""
