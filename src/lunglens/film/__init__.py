"""One film: any file -> pixels -> lungs -> answer, and what is drawn and written of it. Never torch or pandas."""
