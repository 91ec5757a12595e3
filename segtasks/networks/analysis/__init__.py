"""What a network computes and costs: receptive field, halo, multiply-adds."""
