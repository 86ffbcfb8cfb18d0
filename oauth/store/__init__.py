"""What is stored: encrypted tokens and keys, sign-ins that have begun, and installations."""
