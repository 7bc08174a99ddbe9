"""What requests may say and what answers look like: bodies in and out, apart from how they travel (`serve.http`)."""
