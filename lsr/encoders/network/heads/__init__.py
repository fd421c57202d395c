"""What scores terms from a transformer's hidden states, each head in a module of its own."""
