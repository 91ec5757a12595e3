"""What each network declares without torch, one file per family."""
