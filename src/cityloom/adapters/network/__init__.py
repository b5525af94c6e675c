"""What every technology that reaches out shares: where addresses may lead."""
