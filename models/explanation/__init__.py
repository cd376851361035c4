"""Why a release decided a text as it did: which of its words, measured by what the decision becomes without them."""
