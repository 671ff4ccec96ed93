"""What is recorded of subjects: their consents, and the references that stand for them in the audit trail."""
