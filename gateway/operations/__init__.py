"""What operators do with stored data: dead letters, retention, personal data, copies."""
