"""The state that is kept from one session to the next."""
