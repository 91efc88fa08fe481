"""Looking at fits: overlay videos and contact sheets. Nothing that is computed depends on what is drawn here."""
