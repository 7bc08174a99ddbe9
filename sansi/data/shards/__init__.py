"""Token shards: packed ids on the disk, their order in training, and the way between documents and steps."""
