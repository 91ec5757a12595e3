"""Search for CRF settings that suit the imagery, on stored probabilities and labels."""
