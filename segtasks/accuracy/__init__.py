"""How good a mask is: figures against labels, by windows, without torch."""
