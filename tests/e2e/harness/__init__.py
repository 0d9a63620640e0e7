"""The stage for the end-to-end tests: real servers, real networks, real processes. One module, one meaning."""
