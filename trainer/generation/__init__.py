"""From features to a generation that is served: plan, build, check, staging."""
