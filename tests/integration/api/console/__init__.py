"""The console over HTTP, without a browser: who may look, what each page shows and does."""
