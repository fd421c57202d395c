"""Sets of shards: a folder of ordinary indexes that is searched, changed and checked as one."""
