"""How texts that look new are written: known subjects, typed badly or in another style. Pure."""
