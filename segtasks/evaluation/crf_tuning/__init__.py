"""The search for CRF settings that fit an imagery, on kept probabilities with labels."""
