"""Many runs as one queue of jobs: `lunglens sweep`."""
