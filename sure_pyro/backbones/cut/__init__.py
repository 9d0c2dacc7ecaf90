"""The generic cut: any network, opened at named submodules without touching it."""
