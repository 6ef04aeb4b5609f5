"""Screen text: what is written in the pictures of videos, read once as long as it stands."""
