"""gd_jax: gradient descent as textbooks teach it, compared as a referee would."""
