"""Why a cell says what it says: components of the residual stream, their contributions, attention."""
