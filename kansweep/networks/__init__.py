"""What learns: the protocol of networks, and each kind of them; torch."""
