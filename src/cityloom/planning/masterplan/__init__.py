"""The master plan: ITU's four phases as a guided workspace, from the basis to learning."""
