"""How an observed site is scored: effect handlers, one program under all of them."""
