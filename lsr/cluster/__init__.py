"""Ray: encoding, building and searching sets of shards on several machines. Nothing else imports it."""
