"""From features to a version that is served: plan, build, check, staging."""
