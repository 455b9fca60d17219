"""What several resources render: JSON views and small pages."""
